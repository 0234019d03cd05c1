"""A cloud with each of its DTLS engines: `serve --dtls ENGINE`."""

import dtls
import libcoap
import monitoring
from checks import check, expect
from cloud import Cloud, derive_key

SUITES = (dtls.OFFERED, dtls.ALSO_OFFERED)
# One retransmission of a flight, after which silence is an answer.
LIMIT = 2.5


def serves_and_is_silent_about_wrong_keys(world, engine, suites):
    with Cloud(world.cloud.program, arguments=("--dtls", engine)) as cloud:
        inner = type(world)(cloud)
        device, key = inner.device, derive_key(inner.device.secret)
        for suite in suites:
            output, sent = dtls.attempt(cloud, device.identity(2), key, cipher=suite)
            expect(dtls.answered(sent), f"{suite}: {dtls.shapes(sent)}\n{output}")
        for client in libcoap.CLIENTS:
            code, _ = libcoap.request(inner, client, device.identity(2), key, "/nothing/here", "get")
            expect(code == "4.04", f"{client} gets {code}")
        unknown = f"{device.product_key},{'x' * len(device.device_key)},2,60"
        _, wrong = dtls.attempt(cloud, device.identity(2), bytes(16), limit=LIMIT)
        _, nobody = dtls.attempt(cloud, unknown, bytes(16), limit=LIMIT)
        expect(wrong and not dtls.completed(wrong), f"wrong key: {dtls.shapes(wrong)}")
        expect(dtls.shapes(wrong) == dtls.shapes(nobody), f"{dtls.shapes(wrong)}\n{dtls.shapes(nobody)}")
        _, samples = monitoring.figures(cloud)
        established = monitoring.total(samples, "device_cloud_dtls_handshakes_total", outcome="established")
        expect(established == len(suites) + len(libcoap.CLIENTS), f"{established} handshakes were counted")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")


@check
def a_cloud_on_the_own_engine_serves_both_suites(world):
    serves_and_is_silent_about_wrong_keys(world, "own", SUITES)


@check
def a_cloud_on_openssl_serves_both_suites(world):
    serves_and_is_silent_about_wrong_keys(world, "openssl", SUITES)


@check
def a_cloud_on_dimpl_serves_its_suite(world):
    serves_and_is_silent_about_wrong_keys(world, "dimpl", SUITES[:1])
