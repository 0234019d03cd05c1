"""A real browser: Chromium links an account by keyboard and without script, denies, looks at what is linked and ends it."""

import json
import os
import pathlib
import shutil
import subprocess

import requests
from authlib.common.security import generate_token

import linking
from checks import Skipped, check, expect
from cloud import Cloud

ROOT = pathlib.Path(__file__).parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
# Pictures for a person to look at.
PICTURES = TARGET / "screenshots"
VIEWS = ("phone", "desktop")
PAGES = (
    "login", "login-failed", "consent", "error", "links", "signed-out", "device", "device-failed", "device-consent", "device-linked",
)


class Person:
    """What the browser does is a script beside this one, which is run where its packages are."""

    def __init__(self, world):
        self.chromium = shutil.which("chromium")
        packages = TARGET / "node"
        if self.chromium is None or not (packages / "node_modules" / "playwright-core").is_dir():
            raise Skipped("chromium or playwright-core is not installed")
        # Packages are looked for beside the script.
        self.script = shutil.copy(ROOT / "interop" / "node" / "browser.mjs", packages)
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.task = {
            "chromium": self.chromium,
            "pictures": str(PICTURES),
            "user": world.user.name,
            "password": world.user.password,
            "redirect_uri": world.client.redirect_uri,
            "links_url": f"{world.cloud.url}/links",
        }

    def does(self, step, **more):
        task = json.dumps({**self.task, "step": step, **more})
        done = subprocess.run(["node", self.script, task], capture_output=True, text=True, timeout=120)
        expect(done.returncode == 0, f"{step}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)


def authorization_url(world, server, session):
    verifier = generate_token(48)
    url, state = session.create_authorization_url(server["authorization_endpoint"], code_verifier=verifier)
    return url, state, verifier


def device_code(world, server, client):
    """What a device shows: a code, and where to type it."""
    endpoint = server["device_authorization_endpoint"]
    answer = requests.post(endpoint, data={"client_id": client}, verify=world.cloud.ca, timeout=10)
    expect(answer.status_code == 200, f"a device is answered {answer.status_code}")
    return answer.json()


@check
def a_browser_denies_links_and_unlinks_by_keyboard_without_script(world):
    with Cloud(world.cloud.program) as cloud:
        ours = type(world)(cloud)
        person, server = Person(ours), linking.metadata(ours)
        session = linking.session_for(ours, ours.client)
        url, _, _ = authorization_url(ours, server, session)
        second_url, state, verifier = authorization_url(ours, server, session)
        told = person.does("link", url=url, second_url=second_url)
        denied = linking.of_answer(told["cancel"], "error")
        expect(denied == "access_denied", f"a person who cancels sends {denied}")
        session.fetch_token(
            server["token_endpoint"], authorization_response=told["allow"], code_verifier=verifier, state=state
        )
        token = session.token["access_token"]
        expect(linking.devices(ours, token).status_code == 200, "the access token is not accepted")
        told = person.does("unlink")
        expect((told["before"], told["after"]) == (1, 0), f"the page of links had {told['before']} and {told['after']}")
        expect(linking.devices(ours, token).status_code == 401, "the access token outlived its link")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")


@check
def pages_fit_a_phone_and_a_desktop_and_axe_has_nothing_serious_to_say(world):
    with Cloud(world.cloud.program) as cloud:
        ours = type(world)(cloud)
        person, server = Person(ours), linking.metadata(ours)
        # Something to look at on the page of links.
        linking.link(ours, ours.client)
        linking.link(ours, ours.public_client)
        url, _, _ = authorization_url(ours, server, linking.session_for(ours, ours.client))
        broken_url = f"{server['authorization_endpoint']}?client_id=nobody"
        television = cloud.admin("client", "add", "A television", "--public", "--device-flow")["client_id"]
        devices = {view: device_code(ours, server, television) for view in VIEWS}
        told = person.does("look", url=url, broken_url=broken_url, devices=devices)
        expect(not told["findings"], "\n".join(told["findings"]))
        wanted = {f"{page}-{view}" for page in PAGES for view in VIEWS}
        expect(set(told["pages"]) == wanted, f"pages seen: {told['pages']}")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")


@check
def the_style_sheet_of_the_pages_is_served(world):
    answer = requests.get(f"{world.cloud.url}/pages.css", verify=world.cloud.ca, timeout=10)
    expect(answer.status_code == 200 and answer.headers["content-type"].startswith("text/css"), f"{answer.headers}")
