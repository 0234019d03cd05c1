"""A device on Mbed TLS, which knows connection ids (RFC 9146), on a cloud with our own engine: its port changes, its session
goes on.

The program is that of examples/dtls-mbedtls.
"""

import re
import subprocess

from checks import Skipped, check, expect
from cloud import PATIENCE, derive_key
from monitoring import figures, total

SUITES = {"CCM8": "c0a8", "CBC": "00ae"}
# Confirmable GETs of /oic/d, and the acknowledgements that say that it is not there.
REQUESTS = [bytes.fromhex(f"4001000{number}b36f69630164") for number in (1, 2, 3)]
ANSWERS = [f"6084000{number}" for number in (1, 2, 3)]


def device_program(world):
    program = world.cloud.program.parent / "mbedtls_device"
    if not program.is_file():
        raise Skipped("there is no mbedtls_device (cargo build --manifest-path examples/dtls-mbedtls/Cargo.toml)")
    return program


def established(cloud):
    return total(figures(cloud)[1], "device_cloud_dtls_handshakes_total", outcome="established")


@check
def a_device_on_mbedtls_moves_and_its_session_goes_on(world):
    program = device_program(world)
    inner = world.on("own")
    for suite, number in SUITES.items():
        device, before = inner.add_device(), established(inner.cloud)
        log_before = len(inner.cloud.log.read_text())
        command = [program, f"127.0.0.1:{inner.cloud.coaps_port}", device.identity(2)]
        command += [derive_key(device.secret).hex(), number, *(request.hex() for request in REQUESTS)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        expect(done.returncode == 0, f"{suite}: {done.stdout}{done.stderr}")
        told = re.findall(r"port (\d+), (\w+) an id: (\w+)", done.stdout)
        ports = [port for port, _, _ in told]
        expect([answer[:8] for _, _, answer in told] == ANSWERS, f"{suite}: {done.stdout}")
        expect(len(set(ports)) == len(REQUESTS), f"{suite}: {done.stdout}")
        expect({with_id for _, with_id, _ in told} == {"with"}, f"{suite}: {done.stdout}")
        # What the cloud saw: one handshake, one session, and where that went.
        expect(established(inner.cloud) == before + 1, f"{suite}: more than one handshake")
        log = re.sub(r"\x1b\[[0-9;]*m", "", inner.cloud.log.read_text()[log_before:])
        online = re.findall(r"online session=(\d+) device=\S+ peer=127\.0\.0\.1:(\d+)", log)
        expect([port for _, port in online] == ports[:1], f"{suite}: {online}, {ports}\n{log}")
        moved = re.findall(r"Moved \{ session: SessionId\((\d+)\), peer: 127\.0\.0\.1:(\d+) \}", log)
        expect(moved == [(online[0][0], port) for port in ports[1:]], f"{suite}: {moved}, {ports}\n{log}")
