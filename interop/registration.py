"""Devices that activate and never publish: OpenSSL's s_client plays them, and knows nothing of OCF."""

import hashlib
import json
import time
import uuid

import libcoap
from checks import check, expect
from cloud import derive_key
from dtls import Session
from notifications import DEVICES, call, judge, subscribe, unsubscribe
from receiver import Receiver

# Of the configuration's sample: how long the cloud waits for a publication.
GRACE = 30
NAMESPACE = uuid.UUID("324d7167-0897-401d-8baf-9dfad3cacfed")
# A confirmable POST of nothing to /topic/a, as an EnOS device would post a measurement.
POST = bytes.fromhex("40020001b5746f7069630161")


def given_id(device):
    """The id that the cloud must give a device: the documented rule, worked out by hand."""
    name = f"{device.product_key},{device.device_key}".encode()
    hashed = bytearray(hashlib.sha256(NAMESPACE.bytes + name).digest()[:16])
    hashed[6] = hashed[6] & 0x0F | 0x80
    hashed[8] = hashed[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(hashed)))


def status_of(world, di):
    """What the list of devices says of a device: online, offline, or None when it is not in it."""
    status, _, body = call(world, "GET", "/devices")
    expect(status == 200, f"listing the devices: {status}")
    return {one["device"]["di"]: one["status"] for one in json.loads(body)}.get(di)


def wait_for(told, subscription, kind, di, patience):
    """Waits for a notification of a kind that names a device; when it came."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        for one in told.at(subscription.events)[len(DEVICES):]:
            if one.kind == kind and {"di": di} in one.content:
                return one.arrived
        time.sleep(0.1)
    came = [(one.kind, one.content) for one in told.at(subscription.events)[len(DEVICES):]]
    raise AssertionError(f"no {kind} of {di} within {patience} s: {came}")


@check
def devices_that_never_publish_are_registered_and_their_lifetime_is_kept(world):
    silent, busy = world.add_device(), world.add_device()
    for device in (silent, busy):
        code, _ = libcoap.request(world, libcoap.CLIENTS[0], *libcoap.activation(device))
        expect(code == "2.04", f"activation answers {code}")
        device.di = given_id(device)
        expect(status_of(world, device.di) is None, "a device that only asked for its secret is registered")
    with Receiver(world) as told:
        subscription = subscribe(world, told, "", DEVICES)
        told.wait(subscription.events, len(DEVICES))
        # One does nothing at all, and one does something else than publish. Both then are silent.
        with Session(world.cloud, silent.identity(2, GRACE + 10), derive_key(silent.secret)) as of_silent, \
                Session(world.cloud, busy.identity(2, 30), derive_key(busy.secret)) as of_busy:
            of_silent.wait_until_open()
            opened = time.time()
            of_busy.send(POST)
            spoke = time.time()
            for kind in ("devices_registered", "devices_online"):
                wait_for(told, subscription, kind, busy.di, 10)
            expect(status_of(world, busy.di) == "online", "a device that posts something is not online")
            expect(status_of(world, silent.di) is None, "a device that may still publish is registered")
            for kind in ("devices_registered", "devices_online"):
                came = wait_for(told, subscription, kind, silent.di, GRACE + 8)
                expect(came - opened > GRACE - 2, f"{kind} came {came - opened:.1f} s after the session began")
            expect(status_of(world, silent.di) == "online", "a device that never published is not online")
            for device, since, lifetime in ((busy, spoke, 30), (silent, opened, GRACE + 10)):
                gone = wait_for(told, subscription, "devices_offline", device.di, lifetime) - since
                expect(lifetime - 1 < gone < lifetime + 10, f"lifetime {lifetime} s, offline after {gone:.1f} s")
                expect(status_of(world, device.di) == "offline", "a silent device is online")
        judge(subscription, told.at(subscription.events))
        unsubscribe(world, subscription)
    # It keeps its id in the cloud when it publishes one of its own after all, and its links come under the cloud's.
    given, busy.di = busy.di, str(uuid.uuid4())
    libcoap.publish(world, libcoap.CLIENTS[0], busy)
    libcoap.represent(world, libcoap.CLIENTS[0], busy)
    status, _, body = call(world, "GET", f"/devices/{given}")
    expect(status == 200, f"{given} answers {status}")
    hrefs = {link["href"] for link in json.loads(body)["links"]}
    expect(hrefs == {f"/{given}/oic/d", f"/{given}/light/1"}, f"its links are {hrefs}")
    expect(status_of(world, busy.di) is None, "the device is listed under the id that it published late")


@check
def a_device_that_came_in_before_it_had_an_owner_is_registered_when_it_gets_one(world):
    device = world.add_device()
    name = f"{device.product_key},{device.device_key}"
    world.cloud.operate("device", "remove", name)
    key = derive_key(device.secret)
    codes, _, _ = libcoap.exchange(world, libcoap.CLIENTS[0], device.identity(2), key, "/topic/a", "post", libcoap.cbor({}))
    expect(codes[-1:] == ["4.04"], f"without an owner it is answered {codes}")
    expect(status_of(world, given_id(device)) is None, "a device of nobody's is registered")
    world.cloud.operate("device", "transfer", name, "--to", world.user.name)
    expect(status_of(world, given_id(device)) == "offline", "a device that got its owner late is not registered")
