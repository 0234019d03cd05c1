"""curl as a client of the interface, with the token that Authlib obtained."""

import json
import subprocess

import libcoap
from checks import check, expect


def curl(world, path, *options, token=True):
    """One request: (status, headers in lower case, body)."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", world.cloud.ca, "--include"]
    if token:
        # From a file, as a careful user would: an argument shows up in the process list.
        header = world.cloud.path / "authorization"
        header.write_text(f"Authorization: Bearer {world.link.token['access_token']}\n")
        command += ["--header", f"@{header}"]
    done = subprocess.run([*command, *options, f"{world.cloud.url}{path}"], capture_output=True, timeout=30)
    expect(done.returncode == 0, f"curl: {done.stderr.decode()}")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


@check
def curl_without_a_token_is_unauthorized(world):
    status, headers, _ = curl(world, "/api/v1/devices", token=False)
    expect(status == 401, f"status {status}")
    expect(headers.get("www-authenticate", "").startswith("Bearer"), f"headers {headers}")


@check
def curl_with_a_token_that_is_no_good_is_told_so(world):
    token = world.link.token["access_token"]
    for value in ("Bearer", "Bearer a b", f"Bearer {token}, x", f"Bearer {token[:-4]}", "Bearer \u00e9", f"bearer {token}x"):
        status, headers, _ = curl(world, "/api/v1/devices", "--header", f"Authorization: {value}", token=False)
        expect(status == 401, f"{value[:12]}: status {status}")
        challenge = headers.get("www-authenticate", "")
        expect(challenge.startswith("Bearer") and 'error="invalid_token"' in challenge, f"{value[:12]}: {challenge!r}")
    # Two tokens are no token: of such a request the server cannot know which one counts.
    status, headers, _ = curl(world, "/api/v1/devices?access_token=x")
    expect(status == 400 and "invalid_request" in headers.get("www-authenticate", ""), f"{status} {headers}")


@check
def curl_lists_the_devices_that_libcoap_published(world):
    status, headers, body = curl(world, "/api/v1/devices?content=base")
    expect(status == 200, f"status {status}: {body[:200]}")
    expect(headers["content-type"].startswith("application/json"), f"headers {headers}")
    expect(world.published, "libcoap published nothing")
    found = {one["device"]["di"]: [link["href"] for link in one["links"]] for one in json.loads(body)}
    # Others may be there, too: a device that activates and publishes nothing is registered under an id of the cloud.
    expect(set(world.published) <= set(found), f"{sorted(found)} lacks some of {sorted(world.published)}")
    for di in world.published:
        expect(any(href.endswith("/light/1") for href in found[di]), f"links of {di}: {found[di]}")


@check
def curl_sees_the_representation_that_libcoap_posted(world):
    expect(world.published, "libcoap published nothing")
    for di in world.published:
        status, _, body = curl(world, f"/api/v1/devices/{di}?content=all")
        expect(status == 200, f"status {status}: {body[:200]}")
        found = [link["rep"] for link in json.loads(body)["links"] if link["href"].endswith("/light/1")]
        expect(found == [libcoap.REPRESENTATION], f"representation of {di}: {found}")


@check
def curl_gets_cbor_when_it_asks_for_it(world):
    status, headers, body = curl(
        world, "/api/v1/devices?content=all", "--header", "Accept: application/vnd.ocf+cbor"
    )
    expect(status == 200, f"status {status}: {body[:200]}")
    expect(headers["content-type"] == "application/vnd.ocf+cbor", f"headers {headers}")
    expect(body[:1] and body[0] >> 5 == 4, f"not a CBOR array: {body[:8].hex()}")


@check
def curl_gets_406_for_what_is_not_offered(world):
    status, _, _ = curl(world, "/api/v1/devices", "--header", "Accept: text/html")
    expect(status == 406, f"status {status}")


@check
def curl_finds_no_device_that_is_not_there(world):
    status, _, _ = curl(world, "/api/v1/devices/00000000-0000-4000-8000-000000000000")
    expect(status == 404, f"status {status}")


@check
def malformed_requests_are_refused_and_the_cloud_goes_on(world):
    for expected, path, *options in (
        (400, "/api/v1/devices?content=some"),
        (400, "/api/v1/devices/subscriptions", "--json", "{"),
        (400, "/api/v1/devices/subscriptions", "--json", '{"eventsUrl":7}'),
        (405, "/api/v1/devices", "--request", "DELETE"),
        (404, "/api/v1/nothing"),
        (415, f"/api/v1/devices/{world.published[0]}/light/1", "--data", "a=b"),
    ):
        status, _, body = curl(world, path, *options)
        expect(status == expected, f"{path} {options}: {status} instead of {expected}: {body[:200]}")
    status, _, _ = curl(world, "/api/v1/devices")
    expect(status == 200, f"status {status} after malformed requests")
