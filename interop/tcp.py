"""Debian's libcoap, client and server, over TCP with the example of the crate that speaks it; the cloud has no part in this."""

import contextlib
import re
import socket
import subprocess
import time

from checks import check, expect
from cloud import PATIENCE, free_port

LONG = bytes(ord("a") + index % 25 for index in range(20_000))
BODY = b"x" * 30_000


def example(world):
    return world.cloud.program.parent / "examples" / "tcp"


@contextlib.contextmanager
def running(world, command, port):
    """A server, once it listens: where its log is."""
    log = world.cloud.path / "tcp.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            expect(process.poll() is None and time.monotonic() < end, f"{command[0]}: {log.read_text()}")
            time.sleep(0.05)
        yield log
    finally:
        process.kill()
        process.wait()


def libcoap(world, port, path, *options):
    """What the client got and what it logged."""
    answer = world.cloud.path / "answer"
    answer.unlink(missing_ok=True)
    url = f"coap+tcp://127.0.0.1:{port}{path}"
    command = ["coap-client-notls", "-v", "7", "-B", "10", *options, "-o", answer, url]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    log = (done.stdout + done.stderr).decode(errors="replace")
    return answer.read_bytes() if answer.exists() else b"", log


def ours(world, port, method, path, body=b""):
    """What our client printed: a code, and in the next lines the answer."""
    command = [example(world), method, f"127.0.0.1:{port}", path]
    done = subprocess.run(command, input=body, capture_output=True, timeout=PATIENCE)
    expect(done.returncode == 0, f"{method} {path}: {done.stderr.decode()}")
    return done.stdout.removesuffix(b"\n")


@check
def libcoap_asks_our_server_over_tcp(world):
    port = free_port(socket.SOCK_STREAM)
    with running(world, [example(world), "serve", f"127.0.0.1:{port}"], port):
        body, log = libcoap(world, port, "/long")
        expect(body == LONG, f"{len(body)} bytes\n{log[-3000:]}")
        upload = world.cloud.path / "upload"
        upload.write_bytes(BODY)
        _, log = libcoap(world, port, "/store", "-m", "put", "-f", upload)
        # Several blocks in a message: the server has said that it takes them.
        expect(re.search(r"Block1:8/M/BERT\(8192\)", log) and "c:2.04" in log, log[-3000:])
        body, log = libcoap(world, port, "/store")
        expect(body == BODY, f"{len(body)} bytes\n{log[-3000:]}")
        body, log = libcoap(world, port, "/ticks", "-s", "3")
        expect(body.startswith(b"012"), f"{body}\n{log[-3000:]}")


@check
def our_client_asks_libcoap_over_tcp(world):
    port = free_port(socket.SOCK_STREAM)
    with running(world, ["coap-server-notls", "-A", "127.0.0.1", "-p", str(port), "-v", "7"], port) as log:
        expect(ours(world, port, "get", "/").startswith(b"2.05\nThis is a test server"), log.read_text())
        stored = ours(world, port, "put", "/example_data", BODY)
        expect(stored.startswith((b"2.01", b"2.04")), f"{stored}\n{log.read_text()[-3000:]}")
        fetched = ours(world, port, "get", "/example_data")
        expect(fetched == b"2.05\n" + BODY, f"{len(fetched)} bytes")
        expect("Block2:8/M/BERT(8192)" in log.read_text(errors="replace"), "not several blocks in a message")
        states = ours(world, port, "observe", "/time").split(b"\n")
        expect(states[::2] == [b"2.05"] * 3 and len(set(states[1::2])) == 3, f"{states}")
        expect(ours(world, port, "get", "/nothing").startswith(b"4.04"), "what is not there was found")
