"""OpenSSL's s_client as a DTLS-PSK client, with a relay between it and the cloud that records every datagram."""

import re
import socket
import subprocess
import threading
import time

from checks import check, expect
from cloud import derive_key

OFFERED = "PSK-AES128-CCM8"
ALSO_OFFERED = "PSK-AES128-CBC-SHA256"
NOT_OFFERED = "PSK-AES256-CCM8"
# Long enough for two retransmissions of a handshake flight, after which silence is an answer.
LIMIT = 5.0
# A confirmable GET of /oic/d, sent the moment a session exists.
COAP_REQUEST = bytes.fromhex("40010001b36f69630164")

HANDSHAKE, CHANGE_CIPHER_SPEC, ALERT, APPLICATION_DATA = 22, 20, 21, 23


class Relay:
    """Passes datagrams between one client and the cloud and keeps what the cloud sent."""

    def __init__(self, cloud_port):
        self.client_side = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client_side.bind(("127.0.0.1", 0))
        self.cloud_side = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.cloud_side.connect(("127.0.0.1", cloud_port))
        self.port = self.client_side.getsockname()[1]
        self.client = None
        self.from_cloud = []
        self.open = True
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._up, self._down)]

    def __enter__(self):
        for end in (self.client_side, self.cloud_side):
            end.settimeout(0.2)
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.open = False
        for thread in self.threads:
            thread.join()
        self.client_side.close()
        self.cloud_side.close()

    def _up(self):
        while self.open:
            try:
                datagram, self.client = self.client_side.recvfrom(65535)
                self.cloud_side.send(datagram)
            except OSError:
                continue

    def _down(self):
        while self.open:
            try:
                datagram = self.cloud_side.recv(65535)
            except OSError:
                continue
            self.from_cloud.append(datagram)
            self.client_side.sendto(datagram, self.client)


def records(datagram):
    """The records of a datagram as (content type, epoch, body)."""
    found, at = [], 0
    while at + 13 <= len(datagram):
        length = int.from_bytes(datagram[at + 11 : at + 13], "big")
        epoch = int.from_bytes(datagram[at + 3 : at + 5], "big")
        found.append((datagram[at], epoch, datagram[at + 13 : at + 13 + length]))
        at += 13 + length
    return found


def shapes(datagrams):
    """What an onlooker can compare: types, epochs and lengths, and whatever is in the clear and not random.

    Each shape stands once, in order of first appearance: how often a flight is repeated, and how it is then cut into
    datagrams, depends on the machine's load.
    """
    seen = {}
    for datagram in datagrams:
        for kind, epoch, body in records(datagram):
            alert = body.hex() if kind == ALERT and epoch == 0 else None
            message = body[0] if kind == HANDSHAKE and epoch == 0 else None
            seen[kind, epoch, len(body), message, alert] = None
    return list(seen)


class Session:
    """OpenSSL's s_client behind a relay; use as a context manager. What it says is sent as it is, a datagram a `send`."""

    def __init__(self, cloud, identity, key, cipher=OFFERED):
        self.relay = Relay(cloud.coaps_port)
        self.command = ["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{self.relay.port}"]
        self.command += ["-psk_identity", identity, "-psk", key.hex(), "-cipher", cipher]
        self.printed = b""

    def __enter__(self):
        self.relay.__enter__()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.client = subprocess.Popen(self.command, **pipes)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_):
        if completed(self.from_cloud):
            # Then it says that it goes; of a handshake there is nothing to say.
            self.client.stdin.close()
            self.wait(lambda: False, 2)
        self.client.kill()
        self.client.wait()
        self.reader.join()
        self.relay.__exit__()

    def _read(self):
        while chunk := self.client.stdout.read1(65536):
            self.printed += chunk

    def send(self, data):
        self.client.stdin.write(data)
        self.client.stdin.flush()

    @property
    def from_cloud(self):
        return list(self.relay.from_cloud)

    def wait(self, done, limit=LIMIT):
        """Waits until `done()` or the client has ended; whether it is done then."""
        end = time.monotonic() + limit
        while time.monotonic() < end and self.client.poll() is None and not done():
            time.sleep(0.05)
        return done()

    def wait_until_open(self):
        expect(self.wait(lambda: completed(self.from_cloud), 20), f"no session:\n{self.printed.decode(errors='replace')}")


def attempt(cloud, identity, key, cipher=OFFERED, limit=LIMIT):
    """One handshake with a request at its end: (what s_client printed, what the cloud sent)."""
    with Session(cloud, identity, key, cipher) as session:
        session.send(COAP_REQUEST)
        session.wait(lambda: answered(session.from_cloud), limit)
    return session.printed.decode(errors="replace"), session.from_cloud


def answered(datagrams):
    return any(kind == APPLICATION_DATA for datagram in datagrams for kind, _, _ in records(datagram))


def completed(datagrams):
    """Whether the cloud finished a handshake: it changed ciphers, or sent anything under the new keys."""
    return any(
        kind in (CHANGE_CIPHER_SPEC, APPLICATION_DATA) or epoch > 0
        for datagram in datagrams
        for kind, epoch, _ in records(datagram)
    )


def expect_refused(output, sent):
    expect(not completed(sent), f"the cloud went on with the handshake: {shapes(sent)}\n{output}")
    expect("Cipher is PSK" not in output, f"s_client has a session:\n{output}")


@check
def openssl_with_the_right_key_gets_an_answer(world):
    device = world.device
    output, sent = attempt(world.cloud, device.identity(2), derive_key(device.secret))
    expect(completed(sent), f"no handshake: {shapes(sent)}\n{output}")
    expect(answered(sent), f"no application data: {shapes(sent)}\n{output}")


@check
def wrong_key_never_completes(world):
    expect_refused(*attempt(world.cloud, world.device.identity(2), bytes(16)))


@check
def unknown_identity_never_completes(world):
    before = refusals(world)
    device = f"{world.device.product_key},nobody"
    expect_refused(*attempt(world.cloud, f"{device},2,60", derive_key(world.device.secret)))
    told = refusals(world)[len(before):]
    expect(len(told) == 1 and f"device={device}" in told[0] and "no such device" in told[0], f"the operator is told {told}")


@check
def suite_not_offered_never_completes(world):
    device = world.device
    expect_refused(*attempt(world.cloud, device.identity(2), derive_key(device.secret), cipher=NOT_OFFERED))


@check
def malformed_identity_never_completes(world):
    pk, dk = world.device.product_key, world.device.device_key
    key = derive_key(world.device.secret)
    before = refusals(world)
    # s_client takes no identity of more than 256 bytes, and none with a zero in it.
    malformed = [f"{pk}", f"{pk},{dk}", f"{pk},{dk},2", f",{dk},2,60", f"{pk},,2,60", f"{pk},{dk},2,60,"]
    malformed += [f"{pk},{dk},2,29", f"{pk},{dk},2,86401", f"{pk},{dk},9,60", b"\xff", "x" * 255]
    for identity in malformed:
        expect_refused(*attempt(world.cloud, identity, key, limit=2.5))
    told = refusals(world)[len(before):]
    lengths = [f"len={len(identity)}" for identity in malformed]
    expect(all("identity is malformed" in line for line in told), f"the operator is told {told}")
    expect([found for line in told for found in line.split() if found.startswith("len=")] == lengths, f"told {told}")
    expect(not any("x" * 255 in line or dk in line for line in told), "the log holds what was named")


def refusals(world):
    """What the log says of devices that were not let in, without colors."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", world.cloud.log.read_text())
    return [line for line in text.splitlines() if "a device was not let in" in line]


@check
def a_malformed_message_in_a_session_is_reset_and_the_session_goes_on(world):
    device = world.device
    with Session(world.cloud, device.identity(2), derive_key(device.secret)) as session:
        session.wait_until_open()
        for number, malformed in enumerate(
            (
                "40010010ff",          # a payload marker and no payload
                "49010011" + "00" * 9,  # a token of nine bytes
                "40010012f0",          # an option whose delta is reserved
                "4101001342b5",        # an option that is longer than the message
                "4000001400",          # an empty message that is not empty
                "40e1001501",          # a code of a reserved class
            )
        ):
            session.send(bytes.fromhex(malformed))
            reset = bytes([0x70, 0, 0, 0x10 + number])
            expect(session.wait(lambda: reset in session.printed), f"{malformed} is not reset: {session.printed[-200:]}")
        # What is too short for a header, or of another version, is not answered at all.
        for unheard in ("40", "400100", "c0010020b36f69630164"):
            session.send(bytes.fromhex(unheard))
            time.sleep(0.2)
        session.send(bytes.fromhex("40010030b36f69630164"))
        # Acknowledged with 4.04: there is no such resource.
        answer = bytes.fromhex("60840030")
        expect(session.wait(lambda: answer in session.printed), f"the session is dead: {session.printed[-200:]}")
        expect(bytes.fromhex("0020") not in session.printed[-8:], "another version is answered")


@check
def wrong_key_and_unknown_identity_look_the_same(world):
    device = world.device
    unknown = f"{device.product_key},{'x' * len(device.device_key)},2,60"
    _, wrong = attempt(world.cloud, device.identity(2), bytes(16))
    _, nobody = attempt(world.cloud, unknown, bytes(16))
    expect(wrong, "the cloud sent nothing at all, which proves nothing")
    expect(
        shapes(wrong) == shapes(nobody),
        f"wrong key:        {shapes(wrong)}\nunknown identity: {shapes(nobody)}",
    )
