"""OpenSSL's s_client as a DTLS-PSK client, with a relay between it and the cloud that records every datagram."""

import socket
import subprocess
import threading
import time

from checks import check, expect
from cloud import derive_key

OFFERED = "PSK-AES128-CCM8"
NOT_OFFERED = "PSK-AES128-CBC-SHA256"
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


def attempt(cloud, identity, key, cipher=OFFERED, limit=LIMIT):
    """One handshake with a request at its end: (what s_client printed, what the cloud sent)."""
    with Relay(cloud.coaps_port) as relay:
        client = subprocess.Popen(
            ["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{relay.port}"]
            + ["-psk_identity", identity, "-psk", key.hex(), "-cipher", cipher],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        client.stdin.write(COAP_REQUEST)
        client.stdin.flush()
        end = time.monotonic() + limit
        while time.monotonic() < end and client.poll() is None and not answered(relay.from_cloud):
            time.sleep(0.05)
        client.kill()
        output = client.communicate()[0].decode(errors="replace")
        return output, list(relay.from_cloud)


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
    identity = f"{world.device.product_key},nobody,2,60"
    expect_refused(*attempt(world.cloud, identity, derive_key(world.device.secret)))


@check
def suite_not_offered_never_completes(world):
    device = world.device
    expect_refused(*attempt(world.cloud, device.identity(2), derive_key(device.secret), cipher=NOT_OFFERED))


@check
def malformed_identity_never_completes(world):
    pk, dk = world.device.product_key, world.device.device_key
    key = derive_key(world.device.secret)
    for identity in (f"{pk},{dk}", f"{pk},{dk},2,29", f"{pk},{dk},2,86401", f"{pk},{dk},9,60", "x" * 255):
        expect_refused(*attempt(world.cloud, identity, key, limit=2.5))


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
