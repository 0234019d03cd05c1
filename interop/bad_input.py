"""What no peer and no operator should send: each gets a clear answer, and the cloud goes on."""

import random
import socket
import ssl
import subprocess

import libcoap
from checks import check, expect
from cloud import derive_key


def still_answers(world):
    """One exchange over CoAP and DTLS and one over HTTPS, both answered as ever."""
    device = world.device
    code, _ = libcoap.request(
        world, libcoap.CLIENTS[0], device.identity(2), derive_key(device.secret), "/nothing/here", "get"
    )
    expect(code == "4.04", f"a path that is not there answers {code}")
    head = raw_https(world.cloud, b"GET /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    expect(head.startswith(b"HTTP/1.1 401"), f"the interface answers {head[:60]}")


def raw_https(cloud, request):
    """What the cloud answers to these very bytes inside TLS."""
    context = ssl.create_default_context(cafile=cloud.ca)
    with socket.create_connection(("127.0.0.1", cloud.https_port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.settimeout(20)
            connection.sendall(request)
            answer = b""
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except OSError:
                pass
            return answer


@check
def datagrams_of_noise_change_nothing(world):
    noise = random.Random(1)
    address = ("127.0.0.1", world.cloud.coaps_port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(300):
            sender.sendto(noise.randbytes(noise.randrange(1, 1400)), address)
        # Handshake records with nonsense in them, and plain CoAP where DTLS is spoken.
        for _ in range(300):
            body = noise.randbytes(noise.randrange(0, 200))
            header = b"\x16\xfe\xfd\x00\x00" + noise.randbytes(6) + len(body).to_bytes(2, "big")
            sender.sendto(header + body, address)
        sender.sendto(bytes.fromhex("40010001b36f69630164"), address)
    still_answers(world)


@check
def malformed_http_is_refused_and_the_cloud_goes_on(world):
    for request in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET /api/v1/devices HTTP/9.9\r\n\r\n",
        b"GET /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nbroken header\r\n\r\n",
        b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        head = raw_https(world.cloud, request).split(b"\r\n", 1)[0]
        expect(head == b"" or b" 4" in head or b" 5" in head, f"{request[:40]} is answered {head}")
    still_answers(world)


@check
def malformed_cbor_from_a_device_is_a_bad_request(world):
    device = world.device
    key = derive_key(device.secret)
    for payload in (b"\xff", b"\xa1\x61", b"{}", b"\x9f" * 500, random.Random(2).randbytes(64)):
        code, _ = libcoap.request(
            world, libcoap.CLIENTS[0], device.identity(2), key, "/oic/rd", "post", payload
        )
        expect(code == "4.00", f"{payload[:8].hex()} is answered {code}")
    still_answers(world)


def refused_start(world, config):
    """Starts a second cloud that must not come up; what it says."""
    done = subprocess.run(
        [world.cloud.program, "serve", "--config", config], capture_output=True, text=True, timeout=30
    )
    expect(done.returncode != 0, f"it ran: {done.stdout}")
    return done.stderr


@check
def a_taken_port_is_named_whichever_it_is(world):
    folder = world.cloud.path / "second"
    folder.mkdir()
    config = folder / "cloud.toml"
    ports = {
        "https.listen": ("tcp", world.cloud.https_port),
        "coaps.listen": ("udp", world.cloud.coaps_port),
        "monitoring.listen": ("tcp", world.cloud.monitoring_port),
    }
    for key, (kind, taken) in ports.items():
        # Data of its own, and of the three ports only this one is the other cloud's.
        text = world.cloud.config.read_text().replace(f'data_dir = "{world.cloud.data}"', 'data_dir = "data"')
        for _, port in ports.values():
            if port != taken:
                text = text.replace(f'"127.0.0.1:{port}"', '"127.0.0.1:0"')
        config.write_text(text)
        said = refused_start(world, config)
        expect(f"{kind} 127.0.0.1:{taken} ({key} " in said and "in use" in said, f"of a taken {key} it says: {said}")
    still_answers(world)


@check
def a_data_directory_in_use_is_refused(world):
    said = refused_start(world, world.cloud.config)
    expect("error:" in said, f"it says: {said}")
    still_answers(world)


@check
def a_broken_configuration_is_explained(world):
    config = world.cloud.path / "broken.toml"
    text = world.cloud.config.read_text()
    for broken, word in (
        (text.replace("listen =", "lissen =", 1), "lissen"),
        (text.replace("[https]", "[https", 1), "https"),
        (text.replace("https://localhost", "http://localhost"), "public_url"),
        ("", "data_dir"),
    ):
        config.write_text(broken)
        said = refused_start(world, config)
        expect(word in said, f"nothing about {word!r} in: {said}")
    config.unlink()
    expect("missing.toml" in refused_start(world, world.cloud.path / "missing.toml"), "the missing file is not named")
