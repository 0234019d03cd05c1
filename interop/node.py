"""node-dtls-client from npm, which knows neither the extended master secret nor encrypt-then-MAC, on clouds with each engine."""

import pathlib
import shutil
import subprocess

from checks import Skipped, check, expect
from cloud import PATIENCE, derive_key
from dtls import COAP_REQUEST
from gnutls import ANSWER

CLIENT = pathlib.Path(__file__).parent / "node" / "client.mjs"
CCM, CBC = "TLS_PSK_WITH_AES_128_CCM_8", "TLS_PSK_WITH_AES_128_CBC_SHA256"


def session(world, suite):
    """What the client printed: the answer to a request in hexadecimal digits, or why there is none."""
    modules = world.cloud.program.parent.parent / "node" / "node_modules"
    if not shutil.which("node") or not (modules / "node-dtls-client").is_dir():
        raise Skipped("there is no node, or no node-dtls-client (scripts/setup node)")
    device = world.device
    command = ["node", CLIENT, modules, str(world.cloud.coaps_port), device.identity(2)]
    command += [derive_key(device.secret).hex(), suite, COAP_REQUEST.hex()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return done.stdout + done.stderr


@check
def node_has_a_session_with_each_engine(world):
    for engine, suite in (("own", CCM), ("openssl", CCM), ("openssl", CBC)):
        said = session(world.on(engine), suite)
        expect(said.startswith(ANSWER.hex()), f"{engine}, {suite}: {said}")
    # Our own engine takes CBC with encrypt-then-MAC only.
    said = session(world.on("own"), CBC)
    expect("handshake_failure" in said, said)
