"""Devices that know nothing of OCF: Debian's libcoap clients post readings as EnOS has it, and Python reads them as OCF resources."""

import dataclasses
import json
import re

import libcoap
from checks import check, expect
from cloud import derive_key
from dtls import Session
from notifications import DEVICES, RESOURCE, call, judge, subscribe, unsubscribe
from receiver import Receiver
from registration import given_id, status_of, wait_for

JSON = "50"
# How the clients log an answer with a payload.
PAYLOAD = re.compile(r"v:1 t:\w+ c:[245]\.\d\d.*::")
CLIMATE = {
    "href": "/climate",
    "rt": ["oic.r.temperature"],
    "if": ["oic.if.s", "oic.if.baseline"],
    "properties": {
        "temperature": {"point": "temp", "type": "number", "scale": 0.1},
        "humidity": {"point": "hum", "type": "integer"},
    },
}
SWITCH = {
    "href": "/switch/1",
    "rt": ["oic.r.switch.binary"],
    "if": ["oic.if.r"],
    "properties": {"value": {"point": "on", "type": "boolean"}, "mode": {"point": "mode", "type": "string"}},
}
TEMPLATE = {"device": {"n": "Cellar", "rt": ["oic.d.thermostat"], "dmn": "Acme"}, "resources": [CLIMATE, SWITCH]}


def template_file(world, template):
    path = world.cloud.path / "template.json"
    path.write_text(json.dumps(template))
    return path


def add_product(world, *options):
    return world.cloud.add_until_typable("product_secret", "product", "add", "climate", "--dynamic-activation", *options)


def add_device(world, product):
    """A device of the product, owned by the user of the world."""
    arguments = ("device", "add", "--product", product["product_key"], "--owner", world.user.name)
    made = world.cloud.add_until_typable("device_secret", *arguments)
    device = dataclasses.replace(
        world.device,
        product_key=product["product_key"],
        product_secret=product["product_secret"],
        device_key=made["device_key"],
        secret=made["device_secret"],
    )
    device.di = given_id(device)
    return device


def topic(device):
    return f"/topic/sys/{device.product_key}/{device.device_key}/thing/measurepoint/post"


def envelope(points, **members):
    whole = {"id": "123", "version": "1.0", "method": "thing.measurepoint.post", "params": {"measurepoints": points}}
    return json.dumps({**whole, **members}).encode()


def post(world, client, device, points):
    """Posts readings that must be taken."""
    key = derive_key(device.secret)
    arguments = (device.identity(2), key, topic(device), "post", envelope(points), 10, JSON)
    codes, body, log = libcoap.exchange(world, client, *arguments)
    expect(codes == ["2.04"], f"{client}: a post is answered {codes}:\n{log[-2000:]}")
    expect(PAYLOAD.search(log), f"{client} does not log its answer's payload as expected:\n{log[-2000:]}")
    expect(json.loads(body) == {"id": "123", "code": 200, "data": {}}, f"{client}: a post is answered {body}")


def representations(world, device):
    status, _, body = call(world, "GET", f"/devices/{device.di}?content=all")
    expect(status == 200, f"{device.di} answers {status}")
    return {link["href"].removeprefix(f"/{device.di}"): link["rep"] for link in json.loads(body)["links"]}


def links(world, device):
    status, _, body = call(world, "GET", f"/devices/{device.di}")
    expect(status == 200, f"{device.di} answers {status}")
    return {link["href"].removeprefix(f"/{device.di}"): link for link in json.loads(body)["links"]}


@check
def libcoap_posts_readings_and_they_are_resources(world):
    product = add_product(world, "--template", template_file(world, TEMPLATE))
    for client in libcoap.CLIENTS:
        device = add_device(world, product)
        with Receiver(world) as told:
            subscription = subscribe(world, told, "", DEVICES)
            told.wait(subscription.events, len(DEVICES))
            post(world, client, device, {"temp": 215, "on": True, "mode": {"value": "eco", "quality": 9}})
            for kind in ("devices_registered", "devices_online"):
                wait_for(told, subscription, kind, device.di, 10)
            unsubscribe(world, subscription)
        expect(representations(world, device) == {
            "/climate": {"temperature": 21.5},
            "/switch/1": {"value": True, "mode": "eco"},
        }, f"{client}: the representations are {representations(world, device)}")
        listed = links(world, device)
        for resource in (CLIMATE, SWITCH):
            link = listed.pop(resource["href"])
            expect((link["rt"], link["if"], link["p"]["bm"]) == (resource["rt"], resource["if"], 3), f"a link is {link}")
        expect(not listed, f"there are links besides: {listed}")
        # A post of some readings leaves the others as they are, and says so to who watches.
        with Receiver(world) as told:
            subscription = subscribe(world, told, f"/{device.di}/climate", RESOURCE)
            told.wait(subscription.events, 1)
            post(world, client, device, {"hum": 40})
            came = told.wait(subscription.events, 2)
            expect(came[1].content == {"temperature": 21.5, "humidity": 40}, f"what is told is {came[1].content}")
            judge(subscription, came)
            unsubscribe(world, subscription)


@check
def a_device_that_posts_is_described_and_read_and_not_asked(world):
    product = add_product(world, "--template", template_file(world, TEMPLATE))
    device = add_device(world, product)
    post(world, libcoap.CLIENTS[0], device, {"temp": 3})
    # The client is gone; whoever has the device's key comes in next, answers nothing, and is online.
    with Session(world.cloud, device.identity(2), derive_key(device.secret)) as session:
        session.wait_until_open()
        expect(session.wait(lambda: status_of(world, device.di) == "online", 10), "the device is not online")
        status, _, body = call(world, "GET", f"/devices/{device.di}")
        properties = json.loads(body)["device"]
        expect(properties["n"] == "Cellar" and properties["rt"] == ["oic.d.thermostat", "oic.wk.d"], f"it is {properties}")
        expect(properties["dmn"] == [{"language": "en", "value": "Acme"}], f"it is {properties}")
        baseline = {"temperature": 0.3, "rt": CLIMATE["rt"], "if": CLIMATE["if"]}
        for query, expected in (("", {"temperature": 0.3}), ("?if=oic.if.s", {"temperature": 0.3}), ("?if=oic.if.baseline", baseline)):
            status, _, body = call(world, "GET", f"/devices/{device.di}/climate{query}")
            expect((status, json.loads(body)) == (200, expected), f"{query} answers {status} {body}")
        status, headers, _ = call(world, "GET", f"/devices/{device.di}/switch/1")
        expect(status == 504 and headers["retry-after"], f"what was never told answers {status} {headers}")
        update = {"Content_Type": "application/json"}
        status, headers, _ = call(world, "POST", f"/devices/{device.di}/climate", json.dumps({"temperature": 1}), **update)
        expect((status, headers.get("allow")) == (405, "GET"), f"an update answers {status} {headers}")
    expect(representations(world, device) == {"/climate": {"temperature": 0.3}}, "a read or an update changed something")


def refused(world, device, mode, code, method, path, payload, content=JSON):
    """One request that must be refused with this code and nothing behind it."""
    key = derive_key(device.secret if mode == 2 else device.product_secret)
    arguments = (device.identity(mode), key, path, method, payload, 10, content)
    for client in libcoap.CLIENTS:
        codes, body, log = libcoap.exchange(world, client, *arguments)
        expect(codes and set(codes) == {code}, f"{client}: {method} {path} {payload!r} is answered {codes}:\n{log[-2000:]}")
        expect(body == b"" and not PAYLOAD.search(log), f"{client}: there is a payload:\n{log[-2000:]}")


@check
def posts_that_do_not_fit_are_refused_without_a_payload_and_change_nothing(world):
    product = add_product(world, "--template", template_file(world, TEMPLATE))
    device, other, fresh = (add_device(world, product) for _ in range(3))
    for one in (device, other):
        post(world, libcoap.CLIENTS[0], one, {"temp": 200})
    good, path = envelope({"temp": 999}), topic(device)
    for payload in (
        b"",
        b"{}",
        b"[]",
        good[:-1],
        good + b"x",
        good.replace(b"1.0", b"2.0", 1),
        good.replace(b"measurepoint.post", b"measurepoint.resume"),
        envelope({}),
        envelope({"temp": 999}, more=1),
        envelope({"temp": 999, "other": 1}),
        envelope({"temp": 999, "hum": 1.5}),
        envelope({"temp": 999, "on": 1}),
        envelope({"temp": None}),
        envelope({"temp": [999]}),
        b'{"version":"1.0","method":"thing.measurepoint.post","params":{"measurepoints":{"temp":999,"temp":998}}}',
        b'{"version":"1.0","method":"thing.measurepoint.post","params":{"measurepoints":{"temp":1e999}}}',
        b"\xff\xfe",
        libcoap.cbor(json.loads(good)),
    ):
        refused(world, device, 2, "4.00", "post", path, payload)
    refused(world, device, 2, "4.00", "post", path, good, libcoap.OCF_CBOR)
    refused(world, device, 2, "4.03", "post", topic(other), good)
    refused(world, device, 2, "4.05", "put", path, good)
    for nowhere in (path + "/batch", path + "?x=1", path.replace("/post", "/resume"), path.replace("/sys/", "/ext/session/")):
        refused(world, device, 2, "4.04", "post", nowhere, good)
    # Who knows the product's secret alone may ask for its own and nothing else, and a product without a template has no points.
    refused(world, fresh, 3, "4.03", "post", topic(fresh), good)
    expect(status_of(world, fresh.di) is None, "a device that only knows its product's secret is registered")
    plain = add_device(world, world.product)
    refused(world, plain, 2, "4.04", "post", topic(plain), good)
    for one in (device, other):
        expect(representations(world, one) == {"/climate": {"temperature": 20.0}}, f"now there is {representations(world, one)}")


@check
def another_template_reaches_devices_and_stays_over_a_restart(world):
    product = add_product(world)
    device = add_device(world, product)
    refused(world, device, 2, "4.04", "post", topic(device), envelope({"temp": 1}))
    key = product["product_key"]
    lines = world.cloud.operate("product", "template", key, template_file(world, TEMPLATE))
    expect(lines == [("resource", "/climate"), ("resource", "/switch/1")], f"the operator reads {lines}")
    post(world, libcoap.CLIENTS[0], device, {"temp": 200, "on": False})
    # One resource goes, and one comes.
    level = {"href": "/level", "rt": ["oic.r.energy"], "if": ["oic.if.r"], "properties": {"level": {"point": "level", "type": "integer"}}}
    lines = world.cloud.operate("product", "template", key, template_file(world, {"resources": [CLIMATE, level]}))
    expect(("withdrawn", "/switch/1") in lines, f"the operator reads {lines}")
    expect(world.cloud.stop() == 0, "the cloud did not stop in good order")
    world.cloud.start()
    refused(world, device, 2, "4.00", "post", topic(device), envelope({"on": True}))
    post(world, libcoap.CLIENTS[0], device, {"hum": 50, "level": 7})
    expect(representations(world, device) == {
        "/climate": {"temperature": 20.0, "humidity": 50},
        "/level": {"level": 7},
    }, f"the representations are {representations(world, device)}")
    expect(set(links(world, device)) == {"/climate", "/level"}, f"the links are {links(world, device)}")
    # A template that is none is refused, and the one before stays.
    for bad in ({}, {"resources": []}, {"resources": [{**CLIMATE, "if": ["oic.if.rw"]}]}, {"resources": [CLIMATE, {**level, "href": "/oic/d"}]}):
        try:
            world.cloud.operate("product", "template", key, template_file(world, bad))
        except RuntimeError as refusal:
            expect("the template cannot be used" in str(refusal), f"{bad} is refused with {refusal}")
        else:
            raise AssertionError(f"{bad} is taken for a template")
    post(world, libcoap.CLIENTS[0], device, {"level": 8})
    expect(representations(world, device)["/level"] == {"level": 8}, "a refused template changed something")
