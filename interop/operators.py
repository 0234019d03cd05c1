"""What an operator does with the command line while the cloud runs, and what users and clients see of it."""

import json
import time

import linking
from checks import check, expect
from notifications import DEVICES, call, judge, subscribe
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
