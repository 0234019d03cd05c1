"""Whatever was secret on the wire while accounts were linked, well or badly: it stands in no log, error, figure or file of the cloud."""

import base64
import binascii
import contextlib
import html
import json
import re
import secrets
import urllib.parse

import requests
from requests.adapters import HTTPAdapter

import linking
from checks import check, expect
from cloud import Cloud
from device_flow import Device, decide, television
from monitoring import ask
from pages import follow, read_forms, submit
from refusals import VERIFIER, Server

# Parameters, members and fields whose values are for one side, or one browser, alone.
NAMES = {
    "code", "code_verifier", "state", "client_secret", "password", "token", "access_token", "refresh_token", "request_uri",
    "device_code", "user_code", "interaction", "csrf",
}
# Shorter ones would be found by chance.
SHORTEST = 8


class Wire:
    """Records what `requests` sends and gets, and picks out what is secret in it: {kind: values}."""

    def __init__(self):
        self.secrets = {}
        self.refusals = []

    @contextlib.contextmanager
    def listening(self):
        send = HTTPAdapter.send

        def recorded(adapter, request, **more):
            response = send(adapter, request, **more)
            self.hear(request, response)
            return response

        HTTPAdapter.send = recorded
        try:
            yield self
        finally:
            HTTPAdapter.send = send

    def add(self, kind, value):
        if isinstance(value, str) and len(value) >= SHORTEST:
            self.secrets.setdefault(kind, set()).add(value)

    def add_pairs(self, text):
        for name, value in urllib.parse.parse_qsl(text):
            if name in NAMES:
                self.add(name, value)

    def hear(self, request, response):
        self.add_pairs(urllib.parse.urlsplit(request.url).query)
        body = request.body or ""
        self.add_pairs(body.decode() if isinstance(body, bytes) else body)
        scheme, _, credentials = (request.headers.get("Authorization") or "").partition(" ")
        self.add(f"{scheme} credentials", credentials)
        if scheme == "Basic":
            self.add("client_secret", base64.b64decode(credentials).decode().partition(":")[2])
        self.add_pairs(urllib.parse.urlsplit(response.headers.get("Location", "")).query)
        for cookie in response.cookies:
            self.add("cookie", cookie.value)
        for name, value in re.findall(r'name="(\w+)" value="([^"]+)"', response.text):
            if name in NAMES:
                self.add(name, html.unescape(value))
        with contextlib.suppress(ValueError):
            told = response.json()
            for name, value in told.items() if isinstance(told, dict) else ():
                if name in NAMES:
                    self.add(name, value)
        if response.status_code >= 400:
            self.refusals.append((f"{request.method} {urllib.parse.urlsplit(request.url).path}", response.content))

    def all(self):
        return [(kind, value) for kind, values in self.secrets.items() for value in values]


def forms_of(secret):
    """How a secret may stand in a text or a file: as it is, escaped, quoted, in base64, and the bytes that it is the text of."""
    yield secret.encode()
    yield urllib.parse.quote(secret, safe="").encode()
    yield urllib.parse.quote_plus(secret).encode()
    yield json.dumps(secret)[1:-1].encode()
    # Without the last letters, which depend on what follows.
    yield base64.b64encode(secret.encode()).rstrip(b"=")[:-1]
    # Of a JWT the signature, of codes and refresh tokens the end: what is before names the user and the grant.
    last = secret.rsplit(".", 1)[-1]
    if len(last) >= 32:
        with contextlib.suppress(binascii.Error, ValueError):
            raw = base64.b64decode(last + "=" * (-len(last) % 4), altchars=b"-_", validate=True)[-32:]
            yield last.encode()
            yield raw
            yield raw.hex().encode()
            # As CBOR and JSON write a list of numbers, and as Debug does.
            yield ",".join(map(str, raw)).encode()
            yield ", ".join(map(str, raw)).encode()


def link_in_every_way(world, server):
    """What should work, with each kind of client."""
    at = server.at
    for client in (server.client, server.public):
        held = server.tokens(client)
        renewed = server.refresh(held["refresh_token"], client).json()
        refresh = renewed.get("refresh_token", held["refresh_token"])
        expect(linking.devices(world, renewed["access_token"]).status_code == 200, "the token opens nothing")
        body = None if client.secret else {"client_id": client.id}
        for token in (held["access_token"], refresh):
            if client.secret:
                told = server.post("introspection_endpoint", {"token": token}, client)
                expect(told.json()["active"] is True, f"introspection: {told.text}")
            told = server.post("revocation_endpoint", {"token": token, **(body or {})}, client if client.secret else None)
            expect(told.status_code == 200, f"revocation: {told.status_code}")
    # Credentials in the body, and a pushed request.
    mine = server.client
    credentials = {"client_id": mine.id, "client_secret": mine.secret}
    pushed = server.post("pushed_authorization_request_endpoint", {**server.request(), **credentials})
    expect(pushed.status_code == 201, f"a pushed request: {pushed.status_code} {pushed.text}")
    reference = {"client_id": mine.id, "request_uri": pushed.json()["request_uri"], "redirect_uri": mine.redirect_uri}
    code = server.answer_to(reference)["code"]
    held = server.post(
        "token_endpoint",
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": mine.redirect_uri,
            "code_verifier": VERIFIER,
            **credentials,
        },
    )
    expect(held.status_code == 200, f"credentials in the body: {held.text}")
    device = Device(server, television(world, "--public"))
    decide(world, server.user, device.codes["verification_uri_complete"])
    expect("access_token" in device.poll().json(), "the device got no token")
    expect(server.get(at["userinfo_endpoint"], headers={"Authorization": f"Bearer {held.json()['access_token']}"}).ok, "userinfo")


def do_everything_wrong(world, server):
    """What should not: the secrets that come with it, some at places where they should never be, are secrets as well."""
    at, mine, public = server.at, server.client, server.public
    held = server.tokens(public)
    spare = server.tokens(mine)
    wrong = type(mine)(mine.id, secrets.token_urlsafe(32), mine.redirect_uri)
    unknown = type(mine)("client-nobody", secrets.token_urlsafe(32), mine.redirect_uri)
    for client in (wrong, unknown):
        for endpoint in ("token_endpoint", "revocation_endpoint", "introspection_endpoint", "pushed_authorization_request_endpoint"):
            pairs = {"grant_type": "refresh_token", "refresh_token": spare["refresh_token"], "token": spare["access_token"]}
            expect(server.post(endpoint, pairs, client).status_code == 401, f"{endpoint} serves {client.id}")
    code = server.code()
    for changed in (
        {"code_verifier": secrets.token_urlsafe(48)},
        {"code": secrets.token_urlsafe(64)},
        {"code": code + "\0"},
        {"redirect_uri": "https://evil.example/"},
        {"grant_type": "password", "username": server.user.name, "password": server.user.password},
    ):
        expect(server.redeem(**{"code": code, **changed}).status_code == 400, f"{changed} is taken")
    expect(server.redeem(code, by=server.other).status_code == 400, "another client's code is taken")
    expect(server.redeem(code).status_code == 200, "the code does not work")
    expect(server.redeem(code).status_code == 400, "the code works twice")
    # A replay outside of the window would take too long here; one of the generation before the last is the same.
    first = held["refresh_token"]
    second = server.refresh(first, public).json()["refresh_token"]
    server.refresh(second, public)
    expect(server.refresh(first, public).status_code == 400, "a replay is taken")
    for token in (held["access_token"], spare["access_token"] + "A", spare["refresh_token"], secrets.token_urlsafe(40)):
        expect(linking.devices(world, token).status_code == 401, "a token that is none opens the devices")
    good = spare["access_token"]
    query = {"access_token": good, "token": spare["refresh_token"], "client_secret": mine.secret}
    text = urllib.parse.urlencode(query)
    server.get(f"{world.cloud.url}/api/v1/devices?{text}")
    server.get(f"{world.cloud.url}/api/v1/devices/{good}", headers={"Authorization": f"Bearer {good}"})
    server.get(f"{world.cloud.url}/{good}/{spare['refresh_token']}?{text}")
    for endpoint in ("token_endpoint", "revocation_endpoint", "introspection_endpoint", "userinfo_endpoint"):
        server.get(f"{at[endpoint]}?{text}")
        pairs = {"grant_type": "refresh_token", "refresh_token": spare["refresh_token"], "client_secret": mine.secret}
        whole = {"verify": world.cloud.ca, "timeout": 10, "allow_redirects": False}
        requests.post(f"{at[endpoint]}?{text}", data=pairs, **whole)
        requests.post(at[endpoint], json=pairs, **whole)
        requests.post(at[endpoint], data=pairs, headers={"Authorization": f"Nonsense {good}"}, **whole)
        requests.put(at[endpoint], data=pairs, **whole)
        requests.post(at[endpoint], data=f"{urllib.parse.urlencode(pairs)}&refresh_token=%FF", **whole)
    with linking.trusting(requests.Session(), world) as browser:
        url = server.authorize_url(server.request(state=secrets.token_urlsafe(32)))
        page, _ = follow(browser, browser.get(url, allow_redirects=False), "nowhere:")
        form = read_forms(page)[0]
        for name, password in ((server.user.name, secrets.token_urlsafe(20)), ("nobody", server.user.password)):
            typed = {"username": name, "password": password}
            follow(browser, submit(browser, page, form, typed), "nowhere:")
        # A form that is too old, and one of another origin.
        stale = {name: value for name, (_, value) in form.fields.items()} | {"password": server.user.password}
        browser.post(page.url, data={**stale, "csrf": secrets.token_urlsafe(32)})
        browser.post(page.url, data=stale, headers={"Origin": "https://evil.example"})
    for changed in ({"redirect_uri": "https://evil.example/"}, {"client_id": "client-nobody"}):
        server.get(server.authorize_url(server.request(state=secrets.token_urlsafe(32), **changed)))


@check
def no_secret_of_a_linking_is_in_a_log_an_error_a_figure_or_a_file(world):
    """On a cloud of its own, which says as much as the README tells operators to have it say."""
    with Cloud(world.cloud.program, environment={"RUST_LOG": "debug"}) as cloud, Wire().listening() as wire:
        ours = type(world)(cloud)
        server = Server(ours)
        link_in_every_way(ours, server)
        do_everything_wrong(ours, server)
        status, _, figures = ask(cloud, "/metrics")
        expect(status == 200 and "device_cloud_requests_total" in figures, f"figures: {status}")
        cloud.admin("backup", str(cloud.path / "backups"))
        expect(cloud.stop() == 0, "the cloud did not stop in good order")
        found = wire.secrets
        expect(NAMES | {"cookie", "Bearer credentials", "Basic credentials"} <= set(found), f"only {sorted(found)} were seen")
        expect(len(wire.refusals) > 40, f"{len(wire.refusals)} refusals")
        places = {"the log": cloud.log.read_bytes(), "the figures": figures.encode()}
        expect(places["the log"].count(b"answered") > 100, "the log does not say what was answered")
        for place, body in wire.refusals:
            places[f"the refusal of {place}"] = places.get(f"the refusal of {place}", b"") + body
        files = [file for folder in (cloud.data, cloud.path / "backups") for file in folder.rglob("*") if file.is_file()]
        places |= {str(file): file.read_bytes() for file in files}
        # What is no secret is found, so that the search can be believed.
        held = [place for place, text in places.items() if server.client.id.encode() in text]
        expect(any(place.startswith(str(cloud.data)) for place in held), f"the client's id is only in {held}")
        leaks = set()
        for kind, secret in wire.all():
            for form in set(forms_of(secret)):
                leaks |= {(kind, place) for place, text in places.items() if form in text}
        expect(not leaks, f"{len(leaks)} leaks: {sorted(leaks)}")
        print(f"{len(wire.all())} secrets in none of {sum(map(len, places.values()))} bytes of {len(places)} places")
