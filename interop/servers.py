"""Our client role over our own DTLS engine, in the example `coaps_client` of coap-psk, against the servers of libcoap and aiocoap:
whole messages, block by block, and observation."""

import asyncio
import contextlib
import subprocess

from aiocoap import Context, credentials, resource

from checks import check, expect
from cloud import PATIENCE
from engine import IDENTITY, KEY, example, free_ports, running
from tcp import Store, Ticks
from tinydtls import need_tinydtls

# Thirty blocks.
BODY = bytes(ord("a") + index % 25 for index in range(30_000))


def ours(world, port, method, path, body=b""):
    """What our client printed: a code, and in the next lines the answer."""
    command = [example(world, "coaps_client"), f"127.0.0.1:{port}", IDENTITY, KEY.encode().hex(), method, path]
    done = subprocess.run(command, input=body, capture_output=True, timeout=PATIENCE)
    expect(done.returncode == 0, f"{method} {path}: {done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout


def expect_client_role(world, port, store, ticks):
    """Our client puts a long body, gets it back, observes three states, and is told what is not there."""
    put = ours(world, port, "put", store, BODY)
    expect(put.startswith((b"2.01", b"2.04")), f"{put}")
    got = ours(world, port, "get", store)
    expect(got.startswith(b"2.05\n" + BODY + b"\n"), f"{len(got)} bytes: {got[:200]}")
    lines = ours(world, port, "observe", ticks).split(b"\n")
    expect(lines[:6:2] == [b"2.05"] * 3 and len(set(lines[1:6:2])) == 3, f"{lines}")
    expect(ours(world, port, "get", "/nothing").startswith(b"4.04"), "what is not there was found")


@check
def own_engine_asks_libcoap_in_blocks_and_observes(world):
    for program in ("coap-server-openssl", "coap-server-gnutls"):
        plain, secure = free_ports()
        with running([program, "-A", "127.0.0.1", "-p", str(plain), "-k", KEY]):
            expect_client_role(world, secure, "/example_data", "/time")


@contextlib.asynccontextmanager
async def aiocoap_server(port):
    site, ticks = resource.Site(), Ticks()
    site.add_resource(["store"], Store())
    site.add_resource(["ticks"], ticks)
    known = credentials.CredentialsMap()
    device = {"psk": KEY.encode(), "client-identity": IDENTITY.encode()}
    known.load_from_dict({":device": {"dtls": device}})
    server = await Context.create_server_context(
        site, bind=("127.0.0.1", port), transports=["tinydtls_server"], server_credentials=known
    )
    ticking = asyncio.create_task(ticks.tick())
    try:
        yield
    finally:
        ticking.cancel()
        await server.shutdown()


@check
def own_engine_asks_aiocoap_in_blocks_and_observes(world):
    need_tinydtls()

    async def ask():
        # aiocoap adds one for DTLS to the port that it is told.
        plain, secure = free_ports()
        async with aiocoap_server(plain):
            await asyncio.to_thread(expect_client_role, world, secure, "/store", "/ticks")

    asyncio.run(asyncio.wait_for(ask(), 2 * PATIENCE))
