"""Our own DTLS engine, in the example programs of coap-psk, against OpenSSL and GnuTLS in both roles.

The cloud runs on another engine, so these programs are small ones: a server that answers every request with its path, and a
client that gets `/`.
"""

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import time

from checks import check, expect

IDENTITY = "product,device,2,60"
KEY = "0123456789abcdef"
SUITES = ("PSK-AES128-CCM8", "PSK-AES128-CBC-SHA256")
# A confirmable GET of /oic/d, sent the moment a session exists.
COAP_REQUEST = bytes.fromhex("40010001b36f69630164")
# Takes the extended master secret out of what OpenSSL offers.
WITHOUT_EXTENDED_MASTER_SECRET = """
openssl_conf = everything
[everything]
ssl_conf = ssl
[ssl]
system_default = options
[options]
Options = -ExtendedMasterSecret
"""


def example(world, name):
    return world.cloud.program.parent / "examples" / name


@contextlib.contextmanager
def running(command, says=None, **how):
    """A program that is started and, when it `says` so, ready: gives its output so far, as a function."""
    with tempfile.TemporaryFile() as output:
        def said():
            output.seek(0)
            return output.read().decode(errors="replace")

        program = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **how)
        try:
            if says is not None:
                wait_for(lambda: re.search(says, said()), f"{command[0]} to say {says!r}")
            yield said
        finally:
            program.kill()
            program.wait()


def wait_for(condition, what, limit=10.0):
    end = time.monotonic() + limit
    while not condition():
        expect(time.monotonic() < end, f"waited {limit} s for {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def server(world):
    """Our server: (its port, its output)."""
    command = [example(world, "coaps_server"), "127.0.0.1:0", IDENTITY, KEY.encode().hex()]
    with running(command, says=r"listening at .*\n") as said:
        yield int(re.search(r"listening at .*:(\d+)", said())[1]), said


def s_client(port, suite, *options, key=KEY, patience=3.0, **how):
    """What OpenSSL's client prints of a session that it tries to make and send a request on."""
    command = ["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}", "-cipher", suite]
    command += ["-psk_identity", IDENTITY, "-psk", key.encode().hex(), *options]
    with running(command, stdin=subprocess.PIPE, **how) as said:
        # The input stays open: its end would be the end of the session.
        end = time.monotonic() + patience
        while time.monotonic() < end and "Verify return code" not in said():
            time.sleep(0.05)
        return said()


def has_session(output, suite):
    return f"Cipher is {suite}" in output


def client(world, port):
    """What our client prints of a session with the server at a port."""
    command = [example(world, "coaps_client"), f"127.0.0.1:{port}", IDENTITY, KEY.encode().hex()]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace")
    return (done.stdout + done.stderr).decode(errors="replace")


def free_ports():
    """Two neighboring UDP ports that nobody uses: libcoap takes the second one for DTLS."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                two.bind(("127.0.0.1", port + 1))
                return port, port + 1


@check
def own_engine_serves_openssl_in_both_suites(world):
    with server(world) as (port, said):
        for suite in SUITES:
            output = s_client(port, suite)
            expect(has_session(output, suite), f"{suite}:\n{output}")
            expect("Extended master secret: yes" in output, f"{suite}:\n{output}")
            expect("Secure Renegotiation IS supported" in output, f"{suite}:\n{output}")
        expect(said().count("Online") == len(SUITES), said())


@check
def own_engine_serves_openssl_without_extended_master_secret(world):
    with server(world) as (port, _), tempfile.NamedTemporaryFile("w") as config:
        config.write(WITHOUT_EXTENDED_MASTER_SECRET)
        config.flush()
        for suite in SUITES:
            output = s_client(port, suite, env={**os.environ, "OPENSSL_CONF": config.name})
            expect(has_session(output, suite), f"{suite}:\n{output}")
            expect("Extended master secret: no" in output, f"{suite}:\n{output}")


@check
def own_engine_refuses_openssl_without_encrypt_then_mac(world):
    with server(world) as (port, said):
        output = s_client(port, SUITES[1], "-no_etm")
        expect("Cipher is (NONE)" in output, output)
        expect("alert handshake failure" in output, output)
        expect("Online" not in said(), said())


@check
def own_engine_is_silent_about_a_wrong_key(world):
    with server(world) as (port, said):
        for suite in SUITES:
            output = s_client(port, suite, key="another key of 16")
            expect("Cipher is PSK" not in output and "alert" not in output, f"{suite}:\n{output}")
        expect("Online" not in said(), said())


@check
def own_engine_serves_libcoap(world):
    with server(world) as (port, said):
        for program in ("coap-client-openssl", "coap-client-gnutls"):
            command = [program, "-B", "5", "-u", IDENTITY, "-k", KEY, f"coaps://127.0.0.1:{port}/{program}"]
            done = subprocess.run(command, capture_output=True, timeout=20, check=False)
            output = (done.stdout + done.stderr).decode(errors="replace")
            expect(f"/{program}" in output, f"{program}:\n{output}")
            expect(f"/{program}\n" in said(), said())


@check
def own_engine_connects_to_libcoap(world):
    for program in ("coap-server-openssl", "coap-server-gnutls"):
        plain, secure = free_ports()
        with running([program, "-A", "127.0.0.1", "-p", str(plain), "-k", KEY]) as said:
            output = client(world, secure)
            expect("2.05" in output and "libcoap" in output, f"{program}:\n{output}\n{said()}")
            expect("Closed" in output, output)


@check
def own_engine_connects_to_openssl_in_both_suites(world):
    for suite in SUITES:
        for options in ((), ("-listen",)):
            _, port = free_ports()
            command = ["openssl", "s_server", "-dtls1_2", "-nocert", "-accept", f"127.0.0.1:{port}", "-cipher", suite]
            command += ["-psk", KEY.encode().hex(), "-psk_hint", "a hint", *options]
            with running(command, says="ACCEPT", stdin=subprocess.PIPE) as said:
                ours = [example(world, "coaps_client"), f"127.0.0.1:{port}", IDENTITY, KEY.encode().hex()]
                # It waits for an answer that OpenSSL has no idea of.
                with running(ours):
                    wait_for(lambda: f"CIPHER is {suite}" in said(), f"a session in {suite} {options}")
