"""What an operator does with the command line while the cloud runs, and what users and clients see of it."""

import json
import time

import libcoap
import linking
from checks import check, expect
from notifications import DEVICE, DEVICES, call, judge, subscribe
from receiver import Receiver


def listed(world, *arguments):
    """The rows that a command lists, and the other lines."""
    lines = world.cloud.operate(*arguments)
    rows = [json.loads(value) for _, value in lines if value.startswith("{")]
    return rows, {name: value for name, value in lines if not value.startswith("{")}


def add_user(world, name):
    world.cloud.admin("user", "add", name, stdin=f"the password of {name}\n")


@check
def devices_of_a_user_are_listed_page_by_page(world):
    add_user(world, "carol")
    product = world.product["product_key"]
    keys = sorted(f"carol-{number}" for number in range(5))
    for key in reversed(keys):
        world.cloud.admin("device", "add", "--product", product, "--owner", "carol", key)
    pages, after = [], []
    while True:
        rows, more = listed(world, "device", "list", "--owner", "carol", "--limit", "2", *after)
        pages.append([row["device"] for row in rows])
        if "next" not in more:
            break
        after = ["--after", more["next"]]
    expect([len(page) for page in pages] == [2, 2, 1], f"the pages are {pages}")
    expect(sum(pages, []) == [f"{product},{key}" for key in keys], f"the pages are {pages}")
    rows, _ = listed(world, "device", "list", "--owner", world.user.name)
    ids = {row["device_id"] for row in rows}
    expect(set(world.published) <= ids, f"the published devices are not all among {ids}")
    expect(not any("carol" in row["device"] for row in rows), "a device of carol's is listed as another user's")


@check
def an_operator_ends_a_consent_and_everything_under_it(world):
    def grants():
        rows, _ = listed(world, "grant", "list", world.user.name)
        return {row["grant"]: row for row in rows}

    before = grants()
    kept = world.link
    world.link, _, _ = linking.link(world, world.client)
    try:
        with Receiver(world) as receiver:
            subscription = subscribe(world, receiver, "", DEVICES)
            receiver.wait(subscription.events, len(DEVICES))
            made = set(grants()) - set(before)
            expect(len(made) == 1, f"one consent was given, and {made} are new")
            (grant,) = made
            expect(grants()[grant]["client"] == world.client.id, f"the consent is {grants()[grant]}")
            world.cloud.operate("grant", "end", world.user.name, grant)
            status, _, _ = call(world, "GET", "/devices")
            expect(status == 401, f"the token of an ended consent is answered {status}")
            came = receiver.wait(subscription.events, len(DEVICES) + 1)
            time.sleep(1)
            came = receiver.at(subscription.events)
            judge(subscription, came)
            expect([one.kind for one in came[len(DEVICES):]] == ["subscription_cancelled"], f"{[one.kind for one in came]}")
            expect(grant not in grants(), "the ended consent is still listed")
    finally:
        world.link = kept
    status, _, _ = call(world, "GET", "/devices")
    expect(status == 200, f"another consent of the same user is answered {status}")


def as_user(world, name):
    """A link to another user's account: what `world.link` is for the first one's."""
    first = world.user
    world.user = type(first)(name, f"the password of {name}")
    try:
        return linking.link(world, world.client)[0]
    finally:
        world.user = first


def known_to(world, link):
    """The devices that the interface lists with a link's token."""
    kept, world.link = world.link, link
    try:
        status, _, body = call(world, "GET", "/devices")
    finally:
        world.link = kept
    expect(status == 200, f"listing the devices: {status}")
    return {one["device"]["di"] for one in json.loads(body)}


@check
def a_device_is_transferred_and_removed_and_both_users_clients_are_told(world):
    add_user(world, "dave")
    dave, alice = as_user(world, "dave"), world.link
    device = world.add_device()
    libcoap.publish(world, libcoap.CLIENTS[0], device)
    name = f"{device.product_key},{device.device_key}"
    with Receiver(world) as receiver:
        of_alice = subscribe(world, receiver, "", DEVICES)
        of_device = subscribe(world, receiver, f"/{device.di}", DEVICE)
        world.link = dave
        try:
            of_dave = subscribe(world, receiver, "", DEVICES)
        finally:
            world.link = alice
        for subscription, types in ((of_alice, DEVICES), (of_device, DEVICE), (of_dave, DEVICES)):
            receiver.wait(subscription.events, len(types))

        world.cloud.operate("device", "transfer", name, "--to", "dave")
        told = receiver.wait(of_alice.events, len(DEVICES) + 1)[-1]
        expect((told.kind, told.content) == ("devices_unregistered", [{"di": device.di}]), f"told {told}")
        told = receiver.wait(of_device.events, len(DEVICE) + 1)[-1]
        expect(told.kind == "subscription_cancelled", f"told {told}")
        told = receiver.wait(of_dave.events, len(DEVICES) + 1)[-1]
        expect((told.kind, told.content) == ("devices_registered", [{"di": device.di}]), f"told {told}")
        expect(device.di not in known_to(world, alice), "the former owner still has the device")
        expect(device.di in known_to(world, dave), "the new owner does not have the device")

        # What the device says from now on, it says for its new owner.
        libcoap.publish(world, libcoap.CLIENTS[0], device)
        came = receiver.wait(of_dave.events, len(DEVICES) + 2)
        expect("devices_online" in [one.kind for one in came[len(DEVICES):]], f"{[one.kind for one in came]}")

        world.cloud.operate("device", "remove", name)
        expect(device.di not in known_to(world, dave), "a removed device is still listed")
        deadline = time.monotonic() + 10
        while "devices_unregistered" not in [one.kind for one in receiver.at(of_dave.events)[len(DEVICES):]]:
            expect(time.monotonic() < deadline, f"{[one.kind for one in receiver.at(of_dave.events)]}")
            time.sleep(0.1)
        # It may be given to somebody again.
        world.cloud.operate("device", "transfer", name, "--to", world.user.name)
        expect(device.di in known_to(world, alice), "a device that was given again is not listed")
        libcoap.publish(world, libcoap.CLIENTS[0], device)
        for subscription in (of_alice, of_device, of_dave):
            judge(subscription, receiver.at(subscription.events))


@check
def a_user_is_exported_without_secrets_and_erased_with_nothing_left(world):
    add_user(world, "erin")
    erin = as_user(world, "erin")
    made = world.cloud.add_until_typable(
        "device_secret", "device", "add", "--product", world.product["product_key"], "--owner", "erin"
    )
    device = world.device_of(made)
    libcoap.publish(world, libcoap.CLIENTS[0], device)
    libcoap.represent(world, libcoap.CLIENTS[0], device)
    with Receiver(world) as receiver:
        kept, world.link = world.link, erin
        try:
            subscription = subscribe(world, receiver, "", DEVICES)
        finally:
            world.link = kept
        receiver.wait(subscription.events, len(DEVICES))

        text = world.cloud.run("user", "export", "erin")
        export = json.loads(text)
        expect(export["user"]["name"] == "erin", f"the export is about {export['user']}")
        account = export["account"]
        expect([one["di"] for one in account["devices"]] == [device.di], f"exported devices: {account['devices']}")
        expect(libcoap.REPRESENTATION in [one["rep"] for one in account["devices"][0]["resources"]], f"{account}")
        expect([one["subscriptionId"] for one in account["subscriptions"]] == [subscription.id], f"{account['subscriptions']}")
        expect([one["client"] for one in export["grants"]] == [world.client.id], f"exported grants: {export['grants']}")
        secret = (subscription.secret, device.secret, erin.token["access_token"], erin.token["refresh_token"], "password")
        for word in secret:
            expect(word not in text, f"the export holds {word}")

        world.cloud.operate("user", "erase", "erin")
        came = receiver.wait(subscription.events, len(DEVICES) + 1)
        judge(subscription, came)
        expect("subscription_cancelled" in [one.kind for one in came], f"{[one.kind for one in came]}")
    kept, world.link = world.link, erin
    try:
        status, _, _ = call(world, "GET", "/devices")
    finally:
        world.link = kept
    expect(status == 401, f"an erased user's token is answered {status}")
    for refused in (("user", "export", "erin"), ("device", "list", "--owner", "erin")):
        try:
            world.cloud.operate(*refused)
        except RuntimeError as error:
            expect("there is no user erin" in str(error), f"{refused}: {error}")
        else:
            raise AssertionError(f"{refused} was done for an erased user")
    # Somebody else may have the name.
    add_user(world, "erin")
    expect(listed(world, "device", "list", "--owner", "erin") == ([], {}), "a new user inherits an erased one's devices")


@check
def what_operators_did_outlives_a_restart(world):
    def seen():
        rows, _ = listed(world, "device", "list", "--owner", world.user.name)
        grants, _ = listed(world, "grant", "list", world.user.name)
        carol, _ = listed(world, "device", "list", "--owner", "carol")
        return rows, grants, carol, known_to(world, world.link)

    before = seen()
    expect(world.cloud.stop() == 0, "the cloud did not stop in good order")
    world.cloud.start()
    after = seen()
    expect(after == before, f"before the restart {before}, and after it {after}")
