"""aiocoap over tinydtls (DTLSSocket), which knows TLS_PSK_WITH_AES_128_CCM_8 only, on clouds with each engine."""

import asyncio
import logging

import aiocoap

from checks import Skipped, check, expect
from cloud import PATIENCE, derive_key
from gnutls import ENGINES
from libcoap import OCF_CBOR, REPRESENTATION, cbor

# What tinydtls has room for.
MAX_IDENTITY = 32
# So many that they take several blocks.
LINKS = [
    {"href": f"/light/{number}", "rt": ["core.light"], "if": ["oic.if.baseline", "oic.if.rw"], "p": {"bm": 3}}
    for number in range(40)
]


def need_tinydtls():
    # It speaks of the ends of sessions as of errors.
    logging.getLogger("coap").setLevel(logging.CRITICAL)
    logging.getLogger("coap-server").setLevel(logging.CRITICAL)
    try:
        import DTLSSocket.dtls  # noqa: F401
    except ImportError as lack:
        raise Skipped(f"there is no DTLSSocket (scripts/setup tinydtls): {lack}") from lack


async def ask(world, asked):
    """The codes of the answers, in order, on one session."""
    device = world.device
    identity = device.identity(2).encode()
    expect(len(identity) <= MAX_IDENTITY, f"tinydtls has no room for {identity}")
    # When a flight is repeated, tinydtls tells aiocoap twice that there is a session, which one exception too many comes of.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    client = await aiocoap.Context.create_client_context(transports=["tinydtls"])
    base = f"coaps://127.0.0.1:{world.cloud.coaps_port}"
    psk = {"psk": derive_key(device.secret), "client-identity": identity}
    client.client_credentials.load_from_dict({f"{base}/*": {"dtls": psk}})
    try:
        codes = []
        for code, path, payload in asked:
            request = aiocoap.Message(code=code, uri=base + path, payload=payload)
            if payload:
                request.opt.content_format = int(OCF_CBOR)
            codes.append((await client.request(request).response).code)
        return codes
    finally:
        await client.shutdown()


@check
def aiocoap_over_tinydtls_has_a_session_with_each_engine(world):
    need_tinydtls()
    for engine in ENGINES:
        inner = world.on(engine)
        asked = [
            (aiocoap.GET, "/nothing/here", b""),
            (aiocoap.POST, "/oic/rd", cbor({"di": inner.device.di, "links": LINKS, "ttl": 600})),
            (aiocoap.POST, "/light/1", cbor(REPRESENTATION)),
        ]
        codes = asyncio.run(asyncio.wait_for(ask(inner, asked), PATIENCE))
        expect(codes == [aiocoap.NOT_FOUND, aiocoap.CHANGED, aiocoap.CHANGED], f"{engine}: {codes}")
