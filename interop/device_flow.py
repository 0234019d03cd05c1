"""Devices without a browser (RFC 8628), as Authlib and openid-client know them; a person types in or confirms their codes."""

import json
import os
import shutil
import subprocess
import threading

import requests
from authlib.integrations.requests_client import OAuth2Session

import linking
from browser import ROOT, TARGET
from checks import Skipped, check, expect
from pages import follow, read_forms, submit
from refusals import Server, expect_refused

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"


def television(world, *options):
    made = world.cloud.admin("client", "add", "A television", "--device-flow", *options)
    return type(world.client)(made["client_id"], made.get("client_secret"), None)


def decide(world, user, url, typed=None, decision="allow"):
    """What a person does in a browser, from the verification URL on; the last page."""

    def go_on(browser, page):
        page, _ = follow(browser, page, "nowhere:")
        return page

    with linking.trusting(requests.Session(), world) as browser:
        page = go_on(browser, browser.get(url, allow_redirects=False))
        name = {"username": user.name, "password": user.password}
        page = go_on(browser, submit(browser, page, read_forms(page)[0], name))
        form = read_forms(page)[0]
        _, found = form.fields["user_code"]
        expect(bool(found) == (typed is None), f"the page has the code {found!r}")
        page = go_on(browser, submit(browser, page, form, {"user_code": typed or found}))
        form = read_forms(page)[0]
        if ("decision", decision) not in form.buttons:
            return page
        shown = (typed or found).upper().replace(" ", "-")
        expect("A television" in page.text and shown in page.text and "before you" in page.text, page.text)
        page = submit(browser, page, form, button=("decision", decision))
        expect(page.status_code == 200, f"the decision is answered {page.status_code}")
        return page


class Device:
    """One device, asking by hand."""

    def __init__(self, server, client, **more):
        self.server, self.client = server, client
        pairs = {"client_id": client.id, "scope": "r:*", **more}
        self.answer = server.post("device_authorization_endpoint", pairs, client if client.secret else None)
        self.codes = self.answer.json()

    def poll(self, client=None):
        client = client or self.client
        pairs = {"grant_type": GRANT_TYPE, "device_code": self.codes["device_code"], "client_id": client.id}
        return self.server.post("token_endpoint", pairs, client if client.secret else None)


@check
def authlib_gets_tokens_for_a_device_when_a_person_has_typed_its_code(world):
    server = Server(world)
    for options in (["--public"], []):
        client = television(world, *options)
        session = OAuth2Session(
            client.id, client.secret, scope="r:* offline_access",
            token_endpoint_auth_method="client_secret_basic" if client.secret else "none",
        )
        linking.trusting(session, world)
        asked = {"client_id": client.id, "scope": "r:* offline_access"}
        auth = (client.id, client.secret) if client.secret else None
        codes = requests.post(server.at["device_authorization_endpoint"], data=asked, auth=auth, verify=world.cloud.ca, timeout=10)
        expect(codes.status_code == 200 and "no-store" in codes.headers["cache-control"], f"{codes.status_code} {codes.text}")
        codes = codes.json()
        token_url = server.at["token_endpoint"]
        fetch = lambda: session.fetch_token(token_url, grant_type=GRANT_TYPE, device_code=codes["device_code"])  # noqa: E731
        expect(linking.refused(fetch) == "authorization_pending", "a device is not asked to wait")
        page = decide(world, server.user, codes["verification_uri"], codes["user_code"].lower().replace("-", " "))
        expect("linked" in page.text, page.text)
        token = fetch()
        expect(token["scope"] == "offline_access r:*" or set(token["scope"].split()) == {"r:*", "offline_access"}, f"{token}")
        expect(linking.devices(world, token["access_token"]).status_code == 200, "its access token opens nothing")
        fresh = session.refresh_token(token_url, token["refresh_token"])
        expect(linking.devices(world, fresh["access_token"]).status_code == 200, "a refreshed token opens nothing")
        # As of any code: who presents it again may be a thief.
        expect(linking.refused(fetch) == "invalid_grant", "a device code is good twice")
        expect(linking.devices(world, fresh["access_token"]).status_code == 401, "tokens outlive a second use of the code")


@check
def openid_client_waits_for_a_person_who_confirms_the_code_of_a_link(world):
    packages = TARGET / "node"
    if not (packages / "node_modules" / "openid-client").is_dir():
        raise Skipped("openid-client is not installed")
    script = shutil.copy(ROOT / "interop" / "node" / "device.mjs", packages)
    server, client = Server(world), television(world, "--public")
    task = {"issuer": world.cloud.url, "devices": f"{world.cloud.url}/api/v1/devices", "client_id": client.id}
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(world.cloud.ca)}
    if subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.startswith("v18."):
        environment["NODE_OPTIONS"] = "--experimental-global-webcrypto"
    node = subprocess.Popen(["node", script, json.dumps(task)], env=environment, stdout=subprocess.PIPE, text=True)
    patience = threading.Timer(60, node.kill)
    patience.start()
    try:
        with node:
            codes = json.loads(node.stdout.readline())
            decide(world, server.user, codes["verification_uri_complete"])
            seen = json.loads(node.stdout.readline() or "null")
    finally:
        patience.cancel()
    expect(seen == {"linked": 200, "refreshed": 200, "rotated": True}, f"{seen}")


@check
def what_a_device_may_not_have_is_refused_by_its_name(world):
    server = Server(world)
    client = television(world, "--public")
    for name, answer, status, error in (
        ("not registered", Device(server, server.client).answer, 400, "unauthorized_client"),
        ("unknown client", Device(server, type(client)("client-nobody", None, None)).answer, 401, "invalid_client"),
        ("scope", Device(server, client, scope="everything").answer, 400, "invalid_scope"),
        ("resource", Device(server, client, resource="https://unknown.example/").answer, 400, "invalid_target"),
    ):
        expect_refused(name, answer, status, error)
    expect(server.get(server.at["device_authorization_endpoint"]).status_code == 405, "GET is not 405")

    device = Device(server, client)
    expect_refused("at first", device.poll(), 400, "authorization_pending")
    expect_refused("at once again", device.poll(), 400, "slow_down")
    expect_refused("another client", device.poll(television(world, "--public")), 400, "invalid_grant")
    page = decide(world, server.user, device.codes["verification_uri"], device.codes["user_code"], "cancel")
    expect("Nothing was linked" in page.text, page.text)
    expect_refused("denied", device.poll(), 400, "access_denied")
    page = decide(world, server.user, device.codes["verification_uri"], device.codes["user_code"])
    expect('role="alert"' in page.text, "a code that was decided is asked about again")


@check
def codes_of_devices_cannot_be_guessed_for_long(world):
    server, client = Server(world), television(world, "--public")
    device = Device(server, client)
    expect(len(device.codes["user_code"].replace("-", "")) == 8, f"{device.codes['user_code']}")
    for _ in range(10):
        page = decide(world, server.user, device.codes["verification_uri"], "BBBB-BBBB")
        expect('role="alert"' in page.text, page.text)
    page = decide(world, server.user, device.codes["verification_uri"], device.codes["user_code"])
    expect('role="alert"' in page.text, "who has guessed ten times is still asked")
    other = Server(world)
    page = decide(world, other.user, device.codes["verification_uri"], device.codes["user_code"])
    expect("linked" in page.text, "another person is kept out")
    expect(device.poll().status_code == 200, "the device gets nothing")
