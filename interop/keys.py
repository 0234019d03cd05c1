"""The roll of the keys of tokens by an operator, over restarts: no link ends by it, and what is retired opens nothing."""

import requests

import linking
from checks import check, expect
from cloud import Cloud
from operators import listed
from refusals import Server, expect_refused


def keys(world, kind):
    rows, _ = listed(world, "key", "list")
    return {row["number"]: row for row in rows if row["kind"] == kind}


def refused(world, *arguments):
    """Why the cloud does not carry out a command."""
    try:
        world.cloud.run(*arguments)
    except RuntimeError as error:
        return str(error)
    raise AssertionError(f"{arguments} was carried out")


def published(world):
    url = linking.metadata(world)["jwks_uri"]
    return {key["kid"] for key in requests.get(url, verify=world.cloud.ca, timeout=10).json()["keys"]}


@check
def keys_roll_without_an_outage(world):
    """On a cloud of its own: in the end, links that have not moved are lost."""
    with Cloud(world.cloud.program) as cloud:
        roll(type(world)(cloud))


def roll(world):
    server = Server(world)
    before = server.tokens()
    stable, access = before["refresh_token"], before["access_token"]
    rotating = server.tokens(server.public)["refresh_token"]
    # A link that is not used while the keys roll.
    unmoved = server.tokens()["refresh_token"]
    first = max(keys(world, "refresh"))
    in_use = keys(world, "refresh")[first]["links"]
    expect(in_use == 3, f"{in_use} links have tokens of the key")
    new = int(world.cloud.admin("key", "add", "refresh")["number"])
    expect(new == first + 1, f"the new key is {new}")
    # The old tokens stay good, and their next use gives ones of the new key.
    answer = server.refresh(stable).json()
    moved = answer["refresh_token"]
    expect(moved != stable, "a token of the old key was not replaced")
    expect(server.refresh(stable).json()["refresh_token"] == moved, "a lost answer costs the link")
    expect("refresh_token" not in server.refresh(moved).json(), "a token of the new key was replaced")
    rotating = server.refresh(rotating, server.public).json()["refresh_token"]
    expect(keys(world, "refresh")[first]["links"] == 1, "links that have moved hang on the old key")
    expect("links have a refresh token" in refused(world, "key", "retire", "refresh", str(first)), "a key in use was retired")
    expect("makes the tokens" in refused(world, "key", "retire", "refresh", str(new), "--force"), "the newest key was retired")
    # The same after a restart.
    expect(world.cloud.stop() == 0, "the cloud did not stop in good order")
    world.cloud.start()
    expect(set(keys(world, "refresh")) == set(range(1, new + 1)), f"{keys(world, 'refresh')}")
    expect(server.refresh(stable).json()["refresh_token"] == moved, "a restart costs the link")
    rotating = server.refresh(rotating, server.public).json()["refresh_token"]
    expect(linking.devices(world, access).status_code == 200, "an access token ended")

    (old,) = published(world)
    new_id = max(keys(world, "signing")) + 1
    expect(int(world.cloud.admin("key", "add", "signing")["number"]) == new_id, "another number")
    expect(len(published(world)) == 2 and old in published(world), f"{published(world)} is published")
    expect(linking.devices(world, access).status_code == 200, "an access token of the old key ended")
    later = server.refresh(moved).json()["access_token"]
    expect(linking.devices(world, later).status_code == 200, "an access token of the new key is refused")
    expect("more seconds" in refused(world, "key", "retire", "signing", str(new_id - 1)), "a key in use was retired")

    # An operator in need may end them all the same.
    world.cloud.admin("key", "retire", "signing", str(new_id - 1), "--force")
    expect(linking.devices(world, access).status_code == 401, "an access token of a retired key is taken")
    expect(linking.devices(world, later).status_code == 200, "an access token of the new key ended")
    expect(old not in published(world), "a retired key is published")
    world.cloud.admin("key", "retire", "refresh", str(first), "--force")
    for _ in range(2):
        expect_refused("a token of a retired key", server.refresh(stable), 400, "invalid_grant")
        expect_refused("a link that has not moved", server.refresh(unmoved), 400, "invalid_grant")
        rotating = server.refresh(rotating, server.public).json()["refresh_token"]
        moved_on = server.refresh(moved)
        expect(moved_on.status_code == 200, f"a link that has moved is refused: {moved_on.text[:200]}")
        # What is retired stays so.
        expect(world.cloud.stop() == 0, "the cloud did not stop in good order")
        world.cloud.start()
    expect(first not in keys(world, "refresh"), "a retired key came back")


@check
def a_programme_that_the_cloud_does_not_meet_is_told(world):
    long = f"https://client.example/{'p' * 700}"
    made = world.cloud.admin("client", "add", "AWS", "--programme", "aws", "--own", long)
    expect("URL of an authorization request is too long" in made.get("unmet", ""), f"{made}")
    for programme, own in (("aws", "https://client.example/callback"), ("alexa", "M2AAAAAAAAAAAA"), ("google", "a-project"), ("smartthings", "")):
        made = world.cloud.admin("client", "add", programme, "--programme", programme, *(("--own", own) if own else ()))
        expect("unmet" not in made, f"{programme}: {made}")
