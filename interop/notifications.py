"""A client-side cloud written with Python's standard library alone: discovery, subscriptions, and notifications judged by hand."""

import http.client
import json
import secrets
import ssl
import time
import uuid

import libcoap
from checks import check, expect
from receiver import Receiver, signature

DEVICES = ["devices_registered", "devices_unregistered", "devices_online", "devices_offline"]
DEVICE = ["resources_published", "resources_unpublished"]
RESOURCE = ["resource_contentchanged"]


class Subscription:
    def __init__(self, path, id, secret, correlation, events):
        self.path = path
        self.id = id
        self.secret = secret
        self.correlation = correlation
        self.events = events


def call(world, method, path, body=None, **headers):
    """One request of the interface: (status, headers in lower case, body)."""
    context = ssl.create_default_context(cafile=world.cloud.ca)
    connection = http.client.HTTPSConnection("localhost", world.cloud.https_port, context=context, timeout=20)
    try:
        head = {"Authorization": f"Bearer {world.link.token['access_token']}"}
        head.update({name.replace("_", "-"): value for name, value in headers.items()})
        connection.request(method, f"/api/v1{path}", body, head)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def subscribe(world, receiver, level, types):
    """Subscribes at a level, which is a path below /devices or nothing."""
    secret, correlation = secrets.token_urlsafe(24), str(uuid.uuid4())
    events = f"/events/{uuid.uuid4()}"
    body = {"eventsUrl": receiver.url + events, "eventTypes": types, "signingSecret": secret}
    status, _, answer = call(
        world,
        "POST",
        f"/devices{level}/subscriptions",
        json.dumps(body),
        Content_Type="application/json",
        Accept="application/json",
        Correlation_ID=correlation,
    )
    expect(status == 201, f"subscribing at {level or 'all devices'}: {status} {answer[:200]}")
    id = json.loads(answer)["subscriptionId"]
    expect(str(uuid.UUID(id)) == id, f"{id} is no UUID")
    return Subscription(f"/devices{level}/subscriptions/{id}", id, secret, correlation, events)


def unsubscribe(world, subscription):
    status, _, body = call(world, "DELETE", subscription.path)
    expect((status, body) == (202, b""), f"unsubscribing: {status} {body[:200]}")


def judge(subscription, came):
    """Every notification is what its subscription must get: signed, fresh, numbered without a gap."""
    for one in came:
        expected = signature(subscription.secret, one)
        expect(one.header("Event-Signature") == expected, f"{one.kind} {one.number}: the signature is another one")
        expect(one.header("Subscription-ID") == subscription.id, f"{one.kind}: it is for {one.header('Subscription-ID')}")
        expect(one.header("Correlation-ID") == subscription.correlation, f"{one.kind}: {one.header('Correlation-ID')}")
        age = one.arrived - int(one.header("Event-Timestamp"))
        expect(-2 < age < 10, f"{one.kind}: its time stamp is {age:.1f} s old")
        cancelled = one.kind == "subscription_cancelled"
        expect(one.header("Content-Type") == (None if cancelled else "application/json"), f"{one.kind}: {one.headers}")
        expect(one.header("Content-Encoding") is None and "," not in one.headers.get("accept-encoding", ""), str(one.headers))
    # Tries of one notification follow each other; only then comes the next.
    numbers = [one.number for one in came]
    distinct = list(dict.fromkeys(numbers))
    expect(numbers == sorted(numbers) and distinct == list(range(len(distinct))), f"the numbers are {numbers}")


def lit(world, receiver):
    """A subscription to a lamp's resource that got its first notification."""
    di = world.published[0]
    subscription = subscribe(world, receiver, f"/{di}/light/1", RESOURCE)
    receiver.wait(subscription.events, 1)
    return subscription


def turn(world, power):
    """The lamp says that its state changed."""
    value = {**libcoap.REPRESENTATION, "power": power}
    libcoap.represent(world, libcoap.CLIENTS[0], world.lamp, value)
    return value


@check
def standard_library_discovers_devices_links_and_representations(world):
    status, _, body = call(world, "GET", "/devices?content=base")
    expect(status == 200, f"status {status}")
    listed = json.loads(body)
    expect({one["device"]["di"] for one in listed} >= set(world.published), f"listed: {body[:300]}")
    for one in listed:
        di = one["device"]["di"]
        expect({"di", "n", "rt", "dmn"} <= one["device"].keys(), f"{di} is described as {one['device']}")
        expect(one["status"] in ("online", "offline"), f"{di} is {one['status']}")
        for link in one["links"]:
            expect(link["href"].startswith(f"/{di}/"), f"a link of {di} leads to {link['href']}")
            expect(link["rt"] and link["if"] and isinstance(link["p"]["bm"], int), f"a link of {di} is {link}")
            # The address of a resource is that of the devices and the href of its link.
            status, headers, said = call(world, "GET", f"/devices{link['href']}")
            expect(status in (200, 504), f"{link['href']} answers {status}")
            if status == 504:
                expect(int(headers["retry-after"]) > 0 and said, f"an offline device answers {headers} {said}")
        status, _, alone = call(world, "GET", f"/devices/{di}?content=base")
        expect((status, json.loads(alone)["links"]) == (200, one["links"]), f"{di} alone is another: {alone[:200]}")
    status, _, body = call(world, "GET", "/devices?content=all")
    expect(status == 200, f"status {status}")
    for link in (link for one in json.loads(body) for link in one["links"]):
        expect(link.keys() == {"href", "rep"} and isinstance(link["rep"], (dict, list)), f"an item of content=all: {link}")


@check
def standard_library_gets_each_first_notification_once_at_three_levels(world):
    di = world.published[0]
    with Receiver(world) as receiver:
        made = [
            (subscribe(world, receiver, "", DEVICES), DEVICES),
            (subscribe(world, receiver, f"/{di}", DEVICE), DEVICE),
            (subscribe(world, receiver, f"/{di}/light/1", RESOURCE), RESOURCE),
        ]
        for subscription, types in made:
            receiver.wait(subscription.events, len(types))
        # Nothing more comes while nothing happens.
        time.sleep(1)
        first = {}
        for subscription, types in made:
            came = receiver.at(subscription.events)
            judge(subscription, came)
            expect(sorted(one.kind for one in came) == sorted(types), f"{[one.kind for one in came]} of {types}")
            first.update({one.kind: one.content for one in came})
        listed = {one["device"]["di"]: one for one in json.loads(call(world, "GET", "/devices")[2])}
        told = {kind: {one["di"] for one in first[kind]} for kind in DEVICES}
        expect(told["devices_registered"] == set(listed), f"registered: {told}")
        expect(told["devices_online"] == {di for di in listed if listed[di]["status"] == "online"}, f"online: {told}")
        expect(told["devices_offline"] == set(listed) - told["devices_online"], f"offline: {told}")
        expect(told["devices_unregistered"] == set() and first["resources_unpublished"] == [], f"{first}")
        hrefs = {link["href"] for link in first["resources_published"]}
        expect(hrefs == {link["href"] for link in listed[di]["links"]}, f"published: {hrefs}")
        for subscription, _ in made:
            unsubscribe(world, subscription)


@check
def standard_library_is_told_of_changes_in_order_and_signed(world):
    with Receiver(world) as receiver:
        subscription = lit(world, receiver)
        for count, power in enumerate((11, 12, 13), start=2):
            value = turn(world, power)
            came = receiver.wait(subscription.events, count)
            expect(came[-1].content == value, f"told {came[-1].content}, and the lamp said {value}")
        judge(subscription, came)
        unsubscribe(world, subscription)


@check
def standard_library_sees_connections_used_again_for_many_notifications(world):
    with Receiver(world) as receiver:
        subscriptions = [lit(world, receiver) for _ in range(3)]
        for count in range(2, 12):
            turn(world, 100 + count)
            for subscription in subscriptions:
                receiver.wait(subscription.events, count)
        # No more than were under way at once.
        expect(receiver.connections <= len(subscriptions), f"{receiver.connections} connections for {len(receiver.came)}")
        for subscription in subscriptions:
            judge(subscription, receiver.at(subscription.events))
            unsubscribe(world, subscription)


@check
def standard_library_gets_the_same_number_again_after_a_503_with_a_new_timestamp(world):
    with Receiver(world) as receiver:
        subscription = lit(world, receiver)
        busy = iter([503, 503])
        receiver.decide = lambda _: (next(busy, 200), {"Retry-After": "2"})
        turn(world, 21)
        came = receiver.wait(subscription.events, 4)
        judge(subscription, came)
        tries = came[1:]
        expect([one.answered for one in tries] == [503, 503, 200], f"answered {[one.answered for one in tries]}")
        expect({one.number for one in tries} == {1}, f"the tries are numbered {[one.number for one in tries]}")
        expect(len({one.body for one in tries}) == 1, "a later try says something else")
        stamps = [int(one.header("Event-Timestamp")) for one in tries]
        expect(stamps[0] < stamps[1] < stamps[2], f"the tries are of {stamps}")
        waits = [after.arrived - before.arrived for before, after in zip(tries, tries[1:])]
        expect(min(waits) >= 2, f"Retry-After was 2, and the tries came after {waits}")
        unsubscribe(world, subscription)


@check
def standard_library_ends_a_subscription_by_answering_410(world):
    with Receiver(world) as receiver:
        subscription = lit(world, receiver)
        receiver.decide = lambda _: (410, {})
        turn(world, 31)
        receiver.wait(subscription.events, 2)
        turn(world, 32)
        time.sleep(2)
        came = receiver.at(subscription.events)
        judge(subscription, came)
        expect([one.kind for one in came] == RESOURCE * 2, f"after 410 there came {[one.kind for one in came[2:]]}")
        status, _, _ = call(world, "DELETE", subscription.path)
        expect(status == 404, f"a subscription that 410 ended is unsubscribed with {status}")


@check
def standard_library_unsubscribes_and_is_told_exactly_once(world):
    di = world.published[0]
    with Receiver(world) as receiver:
        subscription = lit(world, receiver)
        for foreign in (f"/devices/subscriptions/{subscription.id}", f"/devices/{di}/subscriptions/{subscription.id}"):
            status, _, _ = call(world, "DELETE", foreign)
            expect(status == 404, f"{foreign} answers {status}")
        unsubscribe(world, subscription)
        came = receiver.wait(subscription.events, 2)
        turn(world, 41)
        time.sleep(1)
        came = receiver.at(subscription.events)
        judge(subscription, came)
        expect([one.kind for one in came] == RESOURCE + ["subscription_cancelled"], f"{[one.kind for one in came]}")
        expect(came[-1].body == b"", f"the cancellation says {came[-1].body}")
        status, _, _ = call(world, "DELETE", subscription.path)
        expect(status == 404, f"unsubscribing again answers {status}")
        turn(world, libcoap.REPRESENTATION["power"])
