"""LwM2M clients of versions 1.0, 1.1 and 1.2 against `lwm2m-bootstrap`: their messages are aiocoap's, their CBOR is cbor2's, their DTLS
is tinydtls'. No client that others wrote can be had from a registry; this one does what Wakaama was seen to do."""

import base64
import contextlib
import json
import re
import socket
import tempfile
import time

import aiocoap
from aiocoap import Code

from checks import check, expect
from cloud import free_port
from engine import running, wait_for
from tinydtls import need_tinydtls

LINKS, TLV, SENML_JSON, SENML_CBOR = 40, 11542, 110, 112
ENDPOINT, IDENTITY = "urn:imei:861234567890123", "bootstrap-861234567890123"
KEY = b"bootstrap-key-01"
TARGET_IDENTITY, TARGET_KEY = "target-861234567890123", b"connection-key-1"
PATIENCE = 15.0


class Open:
    """CoAP over UDP as it is."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))

    def send(self, datagram):
        self.socket.send(datagram)

    def receive(self, limit):
        self.socket.settimeout(limit)
        try:
            return self.socket.recv(65535)
        except TimeoutError:
            return None

    def close(self):
        self.socket.close()


class Tinydtls(Open):
    """CoAP over tinydtls."""

    ADDRESS = ("::1", 1234)

    def __init__(self, port, identity, key):
        from DTLSSocket import dtls

        super().__init__(port)
        self.read, self.open = [], False
        # The library keeps where these are, and not them.
        self.identity, self.store = identity.encode(), {identity.encode(): key}
        self.dtls = dtls.DTLS(
            read=lambda _, data: self.read.append(bytes(data)) or len(data),
            write=lambda _, data: self.socket.send(bytes(data)),
            event=self._event,
            pskId=self.identity,
            pskStore=self.store,
        )
        self.peer = self.dtls.connect(*self.ADDRESS)
        end = time.monotonic() + PATIENCE
        while not self.open and time.monotonic() < end:
            self._step(0.5)
        if not self.open:
            raise ConnectionError("no session")

    def _event(self, _level, code):
        # DTLS_EVENT_CONNECTED
        self.open = self.open or code == 0x01DE

    def _step(self, limit):
        datagram = super().receive(limit)
        if datagram is None:
            self.dtls.checkRetransmit()
        else:
            self.dtls.handleMessage(self.peer, datagram)

    def send(self, datagram):
        self.dtls.write(self.peer, datagram)

    def receive(self, limit):
        end = time.monotonic() + limit
        while not self.read and (left := end - time.monotonic()) > 0:
            self._step(left)
        return self.read.pop(0) if self.read else None

    def close(self):
        self.dtls.resetPeer(self.peer)
        self.peer = None
        super().close()


def entries(payload):
    """TLV, read by the text of the standard: (kind, id, value)."""
    at = 0
    while at < len(payload):
        head, at = payload[at], at + 1
        width = 2 if head & 0x20 else 1
        number, at = int.from_bytes(payload[at : at + width], "big"), at + width
        width = (head >> 3) & 3
        length = int.from_bytes(payload[at : at + width], "big") if width else head & 7
        at += width
        expect(at + length <= len(payload), f"cut off: {payload.hex()}")
        yield head >> 6, number, payload[at : at + length]
        at += length


def read_tlv(payload):
    resources = {}
    for kind, number, value in entries(payload):
        expect(kind == 3, f"kind {kind} in {payload.hex()}")
        resources[number] = value
    return resources


def senml(records, names):
    resources, base = {}, ""
    for record in records:
        base = record.get(names["bn"], base)
        path = base + record.get(names["n"], "")
        value = next(record[names[key]] for key in ("v", "vs", "vb", "vd") if names[key] in record)
        if names["vd"] in record and isinstance(value, str):
            value = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        resources[int(path.split("/")[3])] = value
    return resources


def read(payload, content):
    """What a Write to an instance holds, with values as (text, bytes, numbers)."""
    if content == TLV:
        return read_tlv(payload)
    if content == SENML_JSON:
        return senml(json.loads(payload), {key: key for key in ("bn", "n", "v", "vs", "vb", "vd")})
    import cbor2

    return senml(cbor2.loads(payload), {"bn": -2, "n": 0, "v": 2, "vs": 3, "vb": 4, "vd": 8})


def number(value):
    return int.from_bytes(value, "big", signed=True) if isinstance(value, bytes) else int(value)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


class Client:
    """An LwM2M client with its objects, that answers a bootstrap server."""

    def __init__(self, wire, version="1.1", content=TLV, account=0, refuses=None, silent=False):
        self.wire, self.version, self.content = wire, version, content
        self.account, self.refuses, self.silent = account, refuses, silent
        self.objects = {(0, account): {0: "coaps://bootstrap", 1: True, 5: b"burnt in"}, (3, 0): {}}
        self.log, self.formats, self.codes = [], [], []
        self.finished = False
        self.message_id = 100

    def request(self, endpoint=ENDPOINT, *more, preferred=None):
        self.message_id += 1
        message = aiocoap.Message(code=Code.POST, mtype=aiocoap.CON, mid=self.message_id, token=b"bs%d" % self.message_id)
        message.opt.uri_path = ("bs",)
        query = [f"ep={endpoint}"] if endpoint else []
        if preferred or self.version != "1.0":
            query.append(f"pct={preferred or self.content}")
        message.opt.uri_query = (*query, *more)
        return message

    def ask(self, message):
        """Sends a request and gives the answer to it."""
        self.wire.send(message.encode())
        answer = self.receive(PATIENCE)
        expect(answer is not None, "no answer")
        if answer.code == Code.EMPTY:
            # It takes longer than an acknowledgment may wait: the answer comes apart. (RFC 7252, 5.2.2)
            expect((answer.mtype, answer.mid) == (aiocoap.ACK, message.mid), f"first of all came {answer}")
            answer = self.receive(PATIENCE)
            expect(answer is not None, "an acknowledgment and no answer")
            if answer.mtype == aiocoap.CON:
                self.wire.send(aiocoap.Message(code=Code.EMPTY, mtype=aiocoap.ACK, mid=answer.mid, token=b"").encode())
        expect(answer.token == message.token, f"first of all came {answer}")
        self.codes.append(answer.code)
        return answer

    def receive(self, limit):
        datagram = self.wire.receive(limit)
        return datagram and aiocoap.Message.decode(datagram)

    def bootstrap(self, message=None, limit=PATIENCE):
        """Asks and answers until the end; whether there was one."""
        if self.ask(message or self.request()).code != Code.CHANGED:
            return False
        return self.serve(limit)

    def serve(self, limit=PATIENCE):
        seen = {}
        while (request := self.receive(limit)) is not None:
            if self.silent:
                continue
            if request.mid not in seen:
                answer = self.answer(request)
                answer.mtype, answer.mid, answer.token = aiocoap.ACK, request.mid, request.token
                seen[request.mid] = answer.encode()
            self.wire.send(seen[request.mid])
            if self.finished:
                # Nothing comes behind it.
                expect(self.receive(0.3) is None, "something came behind Finish")
                return True
        return False

    def answer(self, request):
        path = "/".join(request.opt.uri_path)
        self.log.append(f"{request.code.name} /{path}")
        ids = tuple(int(part) for part in path.split("/")) if re.fullmatch(r"[0-9/]+", path) else ()
        if path == "bs":
            self.finished = True
            return aiocoap.Message(code=Code.CHANGED)
        if request.code == Code.GET and not ids:
            expect(int(request.opt.accept) == LINKS, f"Discover accepts {request.opt.accept}")
            answer = aiocoap.Message(code=Code.CONTENT, payload=self.links().encode())
            answer.opt.content_format = LINKS
            return answer
        if request.code == Code.GET and ids == (1,) and self.version != "1.0":
            answer = aiocoap.Message(code=Code.CONTENT, payload=self.servers())
            answer.opt.content_format = self.content
            return answer
        if request.code == Code.PUT and len(ids) == 2:
            if self.refuses:
                return aiocoap.Message(code=self.refuses)
            self.formats.append(int(request.opt.content_format))
            self.objects[ids] = read(request.payload, self.formats[-1])
            return aiocoap.Message(code=Code.CHANGED)
        if request.code == Code.DELETE:
            kept = ((0, self.account), (3, 0))
            self.objects = {at: it for at, it in self.objects.items() if at in kept or at[: len(ids)] != ids}
            return aiocoap.Message(code=Code.DELETED)
        return aiocoap.Message(code=Code.BAD_REQUEST)

    def links(self):
        links = ['lwm2m="1.0"'] if self.version == "1.0" else [f"</>;lwm2m={self.version}"]
        for (kind, instance), it in sorted(self.objects.items()):
            server = it.get({0: 10, 1: 0}.get(kind))
            link = f"</{kind}/{instance}>"
            if server is not None and kind in (0, 1):
                link += f";ssid={number(server)}"
            if kind == 0 and self.version != "1.0":
                link += f';uri="{text(it[0])}"'
            links.append(link)
        return ",".join(links)

    def servers(self):
        """The Server object, in the client's format."""
        found = [(instance, it) for (kind, instance), it in sorted(self.objects.items()) if kind == 1]
        if self.content == TLV:
            payload = b""
            for instance, it in found:
                inner = b"".join(bytes([0xC0 | len(value), at]) + value for at, value in sorted(it.items()))
                payload += bytes([0x08, instance, len(inner)]) + inner
            return payload
        names = {int: "v", str: "vs", bool: "vb"}
        records = [
            {"bn": f"/1/{instance}/", "n": str(at), names[type(value)]: value} for instance, it in found for at, value in it.items()
        ]
        if self.content == SENML_JSON:
            return json.dumps(records).encode()
        import cbor2

        labels = {"bn": -2, "n": 0, "v": 2, "vs": 3, "vb": 4}
        return cbor2.dumps([{labels[key]: value for key, value in record.items()} for record in records])

    def accounts(self):
        """(short server id, URI, identity, key, lifetime, instance of /0) of each server account."""
        found = []
        for (kind, instance), it in self.objects.items():
            if kind == 0 and not number(it[1]):
                server = next(one for (of, _), one in self.objects.items() if of == 1 and number(one[0]) == number(it[10]))
                found.append((number(it[10]), text(it[0]), text(it[3]), it[5], number(server[1]), instance))
        return found

    def keeps_its_account(self):
        return self.objects[0, self.account] == {0: "coaps://bootstrap", 1: True, 5: b"burnt in"}


def settings(target=5684, **more):
    said = "\n".join(f"{key} = {json.dumps(value)}" for key, value in more.items())
    return f"""
listen = "127.0.0.1:0"
insecure_listen = "127.0.0.1:0"
{said}
[[clients]]
tenant = "acme"
endpoint = "{ENDPOINT}"
identity = "{IDENTITY}"
key = "{KEY.hex()}"
[[clients.servers]]
uri = "coaps://127.0.0.1:{target}"
short_server_id = 101
lifetime = 300
identity = "{TARGET_IDENTITY}"
key = "{TARGET_KEY.hex()}"
[[clients]]
tenant = "acme"
endpoint = "nothing-for-it"
identity = "nothing-for-it"
key = "{KEY.hex()}"
"""


class Server:
    def __init__(self, said, secured, insecure):
        self.said, self.secured, self.insecure = said, secured, insecure

    def says(self, words):
        wait_for(lambda: words in self.said(), f"the server to say {words!r}; it said\n{self.said()}")


@contextlib.contextmanager
def bootstrap_server(world, **more):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(settings(**more))
        file.flush()
        command = [world.cloud.program.parent / "lwm2m-bootstrap", file.name]
        with running(command, says="INSECURE") as said:
            ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", said())]
            yield Server(said, *ports[:2])


@contextlib.contextmanager
def client(server, secured=True, identity=IDENTITY, key=KEY, **more):
    wire = Tinydtls(server.secured, identity, key) if secured else Open(server.insecure)
    try:
        yield Client(wire, **more)
    finally:
        wire.close()


@check
def lwm2m_clients_of_three_versions_are_bootstrapped_in_their_formats(world):
    need_tinydtls()
    with bootstrap_server(world, read=True) as server:
        for version, content in (("1.0", TLV), ("1.1", TLV), ("1.1", SENML_JSON), ("1.1", SENML_CBOR), ("1.2", SENML_CBOR)):
            for account in (0, 1, 7):
                with client(server, version=version, content=content, account=account) as device:
                    expect(device.bootstrap(), f"{version} {content} {account}: {device.log}\n{server.said()}")
                    expect(device.formats == [content] * 2, f"written in {device.formats}")
                    expect(device.keeps_its_account(), f"{device.objects}")
                    ((ssid, uri, identity, key, lifetime, instance),) = device.accounts()
                    seen = (ssid, uri, identity, key, lifetime)
                    expect(seen == (101, "coaps://127.0.0.1:5684", TARGET_IDENTITY, TARGET_KEY, 300), f"{seen}")
                    expect(instance not in (0, account), f"at /0/{instance}")
                    expect(device.log[-1] == "POST /bs" and device.log.count("POST /bs") == 1, f"{device.log}")
                    expect("GET /1" in device.log, f"{device.log}")
        wait_for(lambda: server.said().count("finished: 101 at") == 15, "fifteen clients to be finished")


@check
def an_lwm2m_client_has_its_old_accounts_deleted_and_keeps_its_bootstrap_account(world):
    need_tinydtls()
    with bootstrap_server(world) as server, client(server, content=SENML_CBOR) as device:
        device.objects[0, 3] = {0: "coaps://old", 1: False, 10: 7}
        device.objects[1, 4] = {0: 7, 1: 60, 7: "U"}
        expect(device.bootstrap(), f"{device.log}")
        expect(device.log[1:3] == ["DELETE /0/3", "DELETE /1"], f"{device.log}")
        expect(device.keeps_its_account() and len(device.accounts()) == 1, f"{device.objects}")


@check
def an_lwm2m_client_that_refuses_writes_is_not_finished(world):
    need_tinydtls()
    with bootstrap_server(world) as server, client(server, refuses=Code.BAD_REQUEST) as device:
        expect(not device.bootstrap(limit=3), "it was finished")
        expect(device.log == ["GET /", "PUT /0/1"], f"{device.log}")
        server.says("failed: the client answered 4.00 to /0/1")


@check
def an_lwm2m_client_is_not_given_what_is_bound_to_another_identity(world):
    need_tinydtls()
    with bootstrap_server(world) as server:
        with client(server, identity="nothing-for-it") as device:
            expect(device.ask(device.request(ENDPOINT)).code == Code.BAD_REQUEST, "it was let in")
            server.says(f"nothing-for-it claims to be {ENDPOINT}")
            # Its own name; that there is no server for it is not its fault.
            expect(device.ask(device.request("nothing-for-it")).code == Code.INTERNAL_SERVER_ERROR, f"{device.codes}")
        # Without a name it is what its identity says.
        with client(server) as device:
            expect(device.bootstrap(device.request(None)), f"{device.log}")
        try:
            with client(server, key=bytes(16)):
                raise AssertionError("a session with a wrong key")
        except ConnectionError:
            pass


@check
def an_unknown_lwm2m_client_and_formats_of_single_values_are_bad_requests(world):
    with bootstrap_server(world) as server, client(server, secured=False) as device:
        expect(device.ask(device.request("nobody")).code == Code.BAD_REQUEST, "nobody was let in")
        for preferred in (60, 42, 0):
            asked = device.request(ENDPOINT, f"pct={preferred}") if preferred == 0 else device.request(preferred=preferred)
            expect(device.ask(asked).code == Code.BAD_REQUEST, f"pct={preferred}")
        expect(device.bootstrap(), f"{device.log}")


@check
def an_lwm2m_client_that_asks_anew_begins_anew_and_a_repeated_message_does_not(world):
    with bootstrap_server(world) as server, client(server, secured=False) as device:
        first = device.request()
        device.ask(first)
        discover = device.receive(PATIENCE)
        expect(discover.code == Code.GET, f"{discover}")
        # The same message gets the same answer.
        device.wire.send(first.encode())
        again = device.receive(PATIENCE)
        while again.code == Code.GET:
            expect(again.mid == discover.mid, "a bootstrap was begun by a repeated message")
            again = device.receive(PATIENCE)
        expect((again.code, again.mid) == (Code.CHANGED, first.mid), f"{again}")
        expect("began anew" not in server.said(), server.said())
        # Another one begins anew.
        expect(device.bootstrap(), f"{device.log}")
        server.says("failed: the client began anew")
        server.says("finished: 101 at")


@check
def a_silent_lwm2m_client_is_given_up(world):
    with bootstrap_server(world, request_seconds=2) as server, client(server, secured=False, silent=True) as device:
        expect(not device.bootstrap(limit=3), "it was finished")
        server.says("failed: no answer in time")


@check
def a_bootstrap_pack_is_given_where_that_is_configured(world):
    need_tinydtls()
    import cbor2

    for packs in (False, True):
        with bootstrap_server(world, packs=packs) as server, client(server, version="1.2", content=SENML_CBOR) as device:
            asked = aiocoap.Message(code=Code.GET, mtype=aiocoap.CON, mid=1, token=b"pack")
            asked.opt.uri_path, asked.opt.uri_query, asked.opt.accept = ("bspack",), (f"ep={ENDPOINT}",), SENML_CBOR
            answer = device.ask(asked)
            if not packs:
                expect(answer.code == Code.NOT_FOUND, f"{answer.code}")
                expect(device.bootstrap(), "it was not written to")
                continue
            expect((answer.code, int(answer.opt.content_format)) == (Code.CONTENT, SENML_CBOR), f"{answer}")
            bases = [record[-2] for record in cbor2.loads(answer.payload) if -2 in record]
            expect(bases == ["/0/1/", "/1/1/"], f"{bases}")
            server.says("was given a pack")


@check
def everything_is_deleted_where_that_is_configured_but_the_bootstrap_account(world):
    need_tinydtls()
    with bootstrap_server(world, clean="everything") as server, client(server, account=1) as device:
        device.objects[0, 0] = {0: "coaps://old", 1: False, 10: 7}
        device.objects[1, 4] = {0: b"\x07", 1: b"\x3c", 7: b"U"}
        expect(device.bootstrap(), f"{device.log}")
        expect(device.log[1] == "DELETE /" and device.log[2].startswith("PUT /0/"), f"{device.log}")
        expect(device.keeps_its_account() and len(device.accounts()) == 1, f"{device.objects}")


@check
def an_lwm2m_client_registers_at_its_target_with_the_key_that_it_was_given(world):
    """The target is libcoap's resource directory, over OpenSSL."""
    need_tinydtls()
    port = free_port(socket.SOCK_DGRAM)
    target = ["coap-rd-openssl", "-A", "127.0.0.1", "-p", str(port - 1), "-k", TARGET_KEY.decode()]
    with running(target), bootstrap_server(world, target=port) as server:
        with client(server) as device:
            expect(device.bootstrap(), f"{device.log}")
            ((_, uri, identity, key, lifetime, _),) = device.accounts()
        expect(uri == f"coaps://127.0.0.1:{port}" and key != KEY, uri)
        wire = Tinydtls(port, identity, key)
        try:
            asked = aiocoap.Message(code=Code.POST, mtype=aiocoap.CON, mid=1, token=b"rd", payload=b"</1/1>,</3/0>")
            asked.opt.uri_path, asked.opt.content_format = ("rd",), LINKS
            asked.opt.uri_query = ("lwm2m=1.1", f"ep={ENDPOINT}", f"lt={lifetime}", "b=U")
            expect(Client(wire).ask(asked).code == Code.CREATED, "it was not registered")
        finally:
            wire.close()
        # The key of the bootstrap opens nothing there.
        try:
            Tinydtls(port, identity, KEY).close()
            raise AssertionError("a session with the key of the bootstrap")
        except ConnectionError:
            pass
