"""libcoap and aiocoap, clients and servers, over TCP with the example of the crate that speaks it.

The cloud has no part in this.
"""

import asyncio
import contextlib
import re
import socket
import subprocess
import time

import aiocoap
from aiocoap import resource

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


class Store(resource.Resource):
    body = b""

    async def render_get(self, _):
        return aiocoap.Message(payload=self.body)

    async def render_put(self, request):
        self.body = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


class Ticks(resource.ObservableResource):
    count = 0

    async def tick(self):
        while True:
            await asyncio.sleep(0.2)
            self.count += 1
            self.updated_state()

    async def render_get(self, _):
        return aiocoap.Message(payload=str(self.count).encode())


async def ask_as_aiocoap(port):
    """The long text, what was stored, and three states: what aiocoap gets from our server."""
    client = await aiocoap.Context.create_client_context(transports=["tcpclient"])

    def begin(code, path, **options):
        return client.request(aiocoap.Message(code=code, uri=f"coap+tcp://127.0.0.1:{port}{path}", **options))

    try:
        long = await begin(aiocoap.GET, "/long").response
        put = await begin(aiocoap.PUT, "/store", payload=BODY).response
        stored = await begin(aiocoap.GET, "/store").response
        observation = begin(aiocoap.GET, "/ticks", observe=0)
        states = [(await observation.response).payload]
        async for state in observation.observation:
            states.append(state.payload)
            if len(states) == 3:
                break
        nothing = await begin(aiocoap.GET, "/nothing").response
    finally:
        await client.shutdown()
    expect(put.code == aiocoap.CHANGED and nothing.code == aiocoap.NOT_FOUND, f"{put.code}, {nothing.code}")
    return long.payload, stored.payload, states


async def serve_as_aiocoap(world, port):
    """What our client printed when it asked aiocoap: after a PUT, a GET of the same, and an observation."""
    site, ticks = resource.Site(), Ticks()
    site.add_resource(["store"], Store())
    site.add_resource(["ticks"], ticks)
    server = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port), transports=["tcpserver"])
    ticking = asyncio.create_task(ticks.tick())
    try:
        return [
            await asyncio.to_thread(ours, world, port, *asked)
            for asked in (("put", "/store", BODY), ("get", "/store"), ("observe", "/ticks"))
        ]
    finally:
        ticking.cancel()
        await server.shutdown()


@check
def aiocoap_asks_our_server_over_tcp(world):
    port = free_port(socket.SOCK_STREAM)
    with running(world, [example(world), "serve", f"127.0.0.1:{port}"], port):
        long, stored, states = asyncio.run(asyncio.wait_for(ask_as_aiocoap(port), PATIENCE))
    expect((long, stored) == (LONG, BODY), f"{len(long)} and {len(stored)} bytes")
    expect(states == [b"0", b"1", b"2"], f"{states}")


@check
def our_client_asks_aiocoap_over_tcp(world):
    port = free_port(socket.SOCK_STREAM)
    put, stored, states = asyncio.run(asyncio.wait_for(serve_as_aiocoap(world, port), PATIENCE))
    expect(put.startswith(b"2.04"), f"{put}")
    expect(stored == b"2.05\n" + BODY, f"{len(stored)} bytes")
    numbers = states.split(b"\n")[1::2]
    expect(len(numbers) == 3 and sorted(numbers, key=int) == numbers, f"{numbers}")
