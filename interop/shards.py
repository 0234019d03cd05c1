"""A CoAP door of four shards, each with a socket and a thread of its own, is one cloud: OpenSSL and libcoap play the devices."""

import contextlib
import pathlib
import time

import dtls
import libcoap
import monitoring
from checks import check, expect
from cloud import Cloud, derive_key
from registration import POST

SHARDS = 4
DEVICES = 12
# Each from a port of its own, which the system gives to any of the shards.
COMEBACKS = 8


def sockets_at(port):
    """How many UDP sockets the system has at a port of loopback."""
    lines = pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") for line in lines)


def wait_for_figures(cloud, what, wanted, patience=10):
    end = time.monotonic() + patience
    while True:
        _, samples = monitoring.figures(cloud)
        found = {name: monitoring.total(samples, name) for name in what}
        if found == dict(zip(what, wanted)) or time.monotonic() > end:
            break
        time.sleep(0.1)
    expect(found == dict(zip(what, wanted)), f"{found} instead of {wanted}")


@check
def four_shards_are_one_cloud_to_openssl_and_libcoap(world):
    with contextlib.ExitStack() as open_sessions:
        cloud = open_sessions.enter_context(
            Cloud(world.cloud.program, arguments=("--dtls", "own"), settings={"coaps.shards": SHARDS})
        )
        expect(sockets_at(cloud.coaps_port) == SHARDS, f"{sockets_at(cloud.coaps_port)} sockets")
        inner = type(world)(cloud)
        devices = [inner.add_device() for _ in range(DEVICES)]
        sessions = [
            open_sessions.enter_context(dtls.Session(cloud, device.identity(2), derive_key(device.secret)))
            for device in devices
        ]
        for session in sessions:
            session.wait_until_open()
            session.send(POST)
        for session in sessions:
            expect(session.wait(lambda session=session: dtls.answered(session.from_cloud)), "no answer")
        gauges = ("device_cloud_coap_sessions", "device_cloud_devices_online")
        wait_for_figures(cloud, gauges, (DEVICES, DEVICES))
        _, samples = monitoring.figures(cloud)
        spread = [sessions for _, sessions in samples[gauges[0]]]
        expect(len(spread) == SHARDS and sum(map(bool, spread)) > 1, f"sessions of the shards: {spread}")
        # A device that comes back has one session, whichever shard it came to before.
        for _ in range(COMEBACKS):
            again = open_sessions.enter_context(
                dtls.Session(cloud, devices[0].identity(2), derive_key(devices[0].secret))
            )
            again.wait_until_open()
            again.send(POST)
            expect(again.wait(lambda: dtls.answered(again.from_cloud)), "a device that came back gets no answer")
            wait_for_figures(cloud, gauges, (DEVICES, DEVICES))
        for client in libcoap.CLIENTS:
            device = inner.add_device()
            code, _ = libcoap.request(inner, client, device.identity(2), derive_key(device.secret), "/nothing/here")
            expect(code == "4.04", f"{client} gets {code}")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")
