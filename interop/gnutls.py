"""GnuTLS' own client, `gnutls-cli`, on clouds with each engine that knows both suites."""

import os
import shutil
import subprocess
import tempfile
import time

from checks import Skipped, check, expect
from cloud import derive_key
from dtls import COAP_REQUEST

ENGINES = ("own", "openssl")
SUITES = {
    "AES-128-CCM-8": "-CIPHER-ALL:+AES-128-CCM-8:-MAC-ALL:+AEAD",
    "AES-128-CBC": "-CIPHER-ALL:+AES-128-CBC:-MAC-ALL:+SHA256",
}
WITHOUT_EXTENDED_MASTER_SECRET = "%NO_SESSION_HASH"
WITHOUT_ENCRYPT_THEN_MAC = "%NO_ETM"
# The acknowledgement of COAP_REQUEST, with 4.04.
ANSWER = bytes.fromhex("60840001")
LIMIT = 10.0


def session(world, suite, *without):
    """A session with a request on it: what gnutls-cli said, and whether the request was answered."""
    if shutil.which("gnutls-cli") is None:
        raise Skipped("there is no gnutls-cli (Debian: gnutls-bin)")
    device = world.device
    priority = ":".join(("NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+PSK", SUITES[suite], *without))
    command = ["gnutls-cli", "--udp", "--port", str(world.cloud.coaps_port), "--priority", priority]
    command += ["--pskusername", device.identity(2), "--pskkey", derive_key(device.secret).hex(), "127.0.0.1"]
    with tempfile.TemporaryFile() as output:
        program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
        try:
            # It waits there until there is a session; the end of the input would be the end of that.
            program.stdin.write(COAP_REQUEST)
            program.stdin.flush()
            said, end = b"", time.monotonic() + LIMIT
            while ANSWER not in said and program.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
                said = read(output)
        finally:
            # Its farewell would take a second.
            program.kill()
            program.wait()
        said = read(output)
    return said.decode(errors="replace"), ANSWER in said


def read(output):
    # Where the program writes next is the same as where a read would leave off: whoever moves it has it write over what it said.
    return os.pread(output.fileno(), 1 << 20, 0)


def expect_session(world, suite, *without):
    """What the session has, as gnutls-cli names it."""
    said, answered = session(world, suite, *without)
    expect(f"-({suite})" in said and answered, f"{suite} {without}:\n{said}")
    return said.partition("- Options:")[2].partition("\n")[0]


@check
def gnutls_has_sessions_in_both_suites_with_each_engine(world):
    for engine in ENGINES:
        inner = world.on(engine)
        for suite in SUITES:
            options = expect_session(inner, suite)
            expect("extended master secret" in options, f"{engine}, {suite}:{options}")
            expect(("EtM" in options) == (suite == "AES-128-CBC"), f"{engine}, {suite}:{options}")
        options = expect_session(inner, "AES-128-CCM-8", WITHOUT_EXTENDED_MASTER_SECRET)
        expect("extended master secret" not in options, f"{engine}:{options}")
        options = expect_session(inner, "AES-128-CBC", WITHOUT_EXTENDED_MASTER_SECRET)
        expect("extended master secret" not in options and "EtM" in options, f"{engine}:{options}")


@check
def gnutls_without_encrypt_then_mac_has_cbc_with_openssl_only(world):
    without = (WITHOUT_ENCRYPT_THEN_MAC, WITHOUT_EXTENDED_MASTER_SECRET)
    options = expect_session(world.on("openssl"), "AES-128-CBC", *without)
    expect("EtM" not in options and "extended master secret" not in options, options)
    # Our own engine takes CBC with encrypt-then-MAC only.
    said, answered = session(world.on("own"), "AES-128-CBC", *without)
    expect("Handshake failed" in said and not answered, said)
    options = expect_session(world.on("own"), "AES-128-CCM-8", *without)
    expect("extended master secret" not in options, options)
