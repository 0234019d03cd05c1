"""A refusal probe: whatever an authorization server has to refuse that can be seen from outside, and the exact error.

Black box: it knows RFC 6749, 7009, 7636, 7662, 9207 and 9700, the metadata, and a client of each kind. The names of the cases begin
with the endpoint that they are for.
"""

import base64
import concurrent.futures
import hashlib
import secrets
import urllib.parse

import requests

import linking
from bad_input import raw_https
from checks import check, expect
from pages import log_in_and_allow, read_forms, submit

VERIFIER = secrets.token_urlsafe(48)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Server:
    """The server under test, with a confidential client, a public one, and another confidential one."""

    def __init__(self, world):
        self.world, self.at = world, linking.metadata(world)
        self.client, self.public = world.client, world.public_client
        self.other = world.add_client("Yet another cloud", world.client.redirect_uri)
        # One user has a bounded number of links, and a probe leaves many behind.
        self.user = type(world.user)(f"probed-{secrets.token_hex(4)}", secrets.token_urlsafe(16))
        world.cloud.admin("user", "add", self.user.name, stdin=self.user.password + "\n")

    def get(self, url, **more):
        return requests.get(url, verify=self.world.cloud.ca, allow_redirects=False, timeout=10, **more)

    def post(self, endpoint, data, client=None, **more):
        """A form, as a client that authenticates with Basic; `data` may be text or pairs."""
        more.setdefault("headers", {"Content-Type": "application/x-www-form-urlencoded"})
        data = data if isinstance(data, (str, bytes)) else urllib.parse.urlencode(data)
        auth = (client.id, client.secret) if client else None
        return requests.post(
            self.at[endpoint], data=data, auth=auth, verify=self.world.cloud.ca, allow_redirects=False, timeout=20, **more
        )

    def request(self, client=None, **changed):
        """The parameters of a good authorization request; None takes one away."""
        client = client or self.client
        good = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": client.redirect_uri,
            "scope": "r:* w:* offline_access",
            "state": "a state & more",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def authorize_url(self, pairs):
        return f"{self.at['authorization_endpoint']}?{urllib.parse.urlencode(pairs)}"

    def answer_to(self, pairs):
        """Where a person who logs in and allows is sent, as parameters."""
        with linking.trusting(requests.Session(), self.world) as browser:
            user = self.user
            url = log_in_and_allow(browser, self.authorize_url(pairs), user.name, user.password, pairs["redirect_uri"])
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))

    def code(self, client=None, **changed):
        return self.answer_to(self.request(client, **changed))["code"]

    def redeem(self, code, client=None, by=None, **changed):
        """The token request for a code of `client`, sent by another one or with something changed."""
        client = client or self.client
        sender = by or client
        good = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": VERIFIER,
        }
        if not sender.secret:
            good["client_id"] = sender.id
        pairs = {name: value for name, value in {**good, **changed}.items() if value is not None}
        return self.post("token_endpoint", pairs, sender if sender.secret else None)

    def refresh(self, token, client=None, **more):
        client = client or self.client
        pairs = {"grant_type": "refresh_token", "refresh_token": token, **more}
        if not client.secret:
            pairs["client_id"] = client.id
        return self.post("token_endpoint", pairs, client if client.secret else None)

    def tokens(self, client=None):
        answer = self.redeem(self.code(client), client)
        expect(answer.status_code == 200, f"a good code is answered {answer.status_code} {answer.text}")
        return answer.json()


def expect_refused(name, answer, status, error=None):
    """The status and error code, never kept by a cache, and never a page of another kind."""
    said = answer.json().get("error") if "json" in answer.headers.get("content-type", "") else None
    expect((answer.status_code, said) == (status, error), f"{name}: {answer.status_code} {answer.text[:200]}")
    expect("no-store" in answer.headers.get("cache-control", ""), f"{name}: a cache may keep {answer.headers}")


@check
def authorization_requests_that_nobody_may_be_sent_on_for_end_on_a_page(world):
    server = Server(world)
    uri = server.client.redirect_uri
    cases = {
        "unknown client": server.request(client_id="client-nobody"),
        "no client": server.request(client_id=None),
        "other host": server.request(redirect_uri="https://evil.example/callback"),
        "longer path": server.request(redirect_uri=f"{uri}/more"),
        "query added": server.request(redirect_uri=f"{uri}?more=1"),
        "upper case": server.request(redirect_uri=uri.replace("client", "CLIENT")),
        "encoded": server.request(redirect_uri=uri.replace("callback", "%63allback")),
        "port": server.request(redirect_uri=uri.replace(".example", ".example:443")),
        "fragment": server.request(redirect_uri=f"{uri}#part"),
        "user info": server.request(redirect_uri=uri.replace("https://", "https://user@")),
        "dots": server.request(redirect_uri=uri.replace("/callback", "/x/../callback")),
        "backslash": server.request(redirect_uri="https://evil.example\\@client.example/callback"),
        "script": server.request(redirect_uri="javascript:alert(1)"),
        "space": server.request(redirect_uri=f"{uri} "),
        "another client's": server.request(redirect_uri=server.public.redirect_uri),
    }
    urls = {name: server.authorize_url(pairs) for name, pairs in cases.items()}
    for twice in ("client_id", "redirect_uri"):
        pairs = [*server.request().items(), (twice, server.request()[twice])]
        urls[f"{twice} twice"] = server.authorize_url(pairs)
    for name, url in urls.items():
        answer = server.get(url)
        expect(answer.status_code == 400, f"{name}: {answer.status_code} {answer.headers.get('location')}")
        expect("location" not in answer.headers, f"{name}: the browser is sent on")
        expect(answer.headers["x-frame-options"] == "DENY", f"{name}: the page can be framed")


@check
def authorization_errors_reach_the_client_with_state_and_issuer_once_the_user_is_known(world):
    server = Server(world)
    twice = [*server.request().items(), ("scope", "r:*")]
    cases = {
        "no response type": (server.request(response_type=None), "invalid_request"),
        "token in the front channel": (server.request(response_type="token"), "unsupported_response_type"),
        "hybrid": (server.request(response_type="code token"), "unsupported_response_type"),
        "unknown scope": (server.request(scope="r:* everything"), "invalid_scope"),
        "no challenge": (server.request(code_challenge=None, code_challenge_method=None), "invalid_request"),
        "plain": (server.request(code_challenge_method="plain"), "invalid_request"),
        "plain, by omission": (server.request(code_challenge_method=None), "invalid_request"),
        "unknown method": (server.request(code_challenge_method="S512"), "invalid_request"),
        "short challenge": (server.request(code_challenge="c" * 42), "invalid_request"),
        "challenge of other letters": (server.request(code_challenge="+" * 43), "invalid_request"),
        "scope twice": (dict(twice) | {"scope": ["r:*", "w:*"]}, "invalid_request"),
        "request object": (server.request(request="e30.e30."), "request_not_supported"),
        "request by reference": (server.request(request_uri="https://client.example/r"), "request_uri_not_supported"),
    }
    for name, (pairs, error) in cases.items():
        url = f"{server.at['authorization_endpoint']}?{urllib.parse.urlencode(pairs, doseq=True)}"
        first = server.get(url)
        expect("error=" not in first.headers.get("location", ""), f"{name}: told before anybody is logged in")
        with linking.trusting(requests.Session(), world) as browser:
            answer = log_in_and_allow(browser, url, server.user.name, server.user.password, server.client.redirect_uri)
        seen = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer).query))
        expect(seen.get("error") == error and "code" not in seen, f"{name}: {seen}")
        expect(seen["state"] == "a state & more" and seen["iss"] == server.at["issuer"], f"{name}: {seen}")


@check
def codes_are_refused_to_whoever_they_are_not_for(world):
    server = Server(world)
    cases = {
        "wrong verifier": {"code_verifier": secrets.token_urlsafe(48)},
        "no verifier": {"code_verifier": None},
        "short verifier": {"code_verifier": "v" * 42},
        "challenge as verifier": {"code_verifier": CHALLENGE},
        "other redirect URI": {"redirect_uri": "https://evil.example/"},
        "no redirect URI": {"redirect_uri": None},
        "by another client": {"by": server.other},
        "unknown code": {"code": secrets.token_urlsafe(32)},
        "part of a code": {"code": "x"},
    }
    for name, changed in cases.items():
        pairs = {"code": server.code(), **changed}
        expect_refused(name, server.redeem(pairs.pop("code"), **pairs), 400, "invalid_grant")
    # A code without a challenge, which only a client may ask for that need not send one.
    lax = world.cloud.admin("client", "add", "SmartThings", "--programme", "smartthings")
    lax = type(world.client)(lax["client_id"], lax["client_secret"], "https://c2c-us.smartthings.com/oauth/callback")
    code = server.code(lax, code_challenge=None, code_challenge_method=None)
    expect_refused("verifier without challenge", server.redeem(code, lax), 400, "invalid_grant")


@check
def of_fifty_at_once_one_redeems_a_code_and_what_it_got_ends(world):
    server = Server(world)
    code = server.code()
    with concurrent.futures.ThreadPoolExecutor(50) as many:
        answers = list(many.map(lambda _: server.redeem(code), range(50)))
    good = [answer.json() for answer in answers if answer.status_code == 200]
    expect(len(good) == 1, f"{len(good)} of 50 redeemed one code")
    for answer in answers:
        if answer.status_code != 200:
            expect_refused("the same code", answer, 400, "invalid_grant")
    status = linking.devices(world, good[0]["access_token"]).status_code
    expect(status == 401, f"the code came twice, and its token gets {status}")


@check
def of_fifty_refreshes_at_once_all_get_the_same_successor(world):
    server = Server(world)
    for client in (server.client, server.public):
        held = server.tokens(client)["refresh_token"]
        with concurrent.futures.ThreadPoolExecutor(50) as many:
            answers = list(many.map(lambda _: server.refresh(held, client), range(50)))
        expect(all(answer.status_code == 200 for answer in answers), f"{[answer.text[:99] for answer in answers]}")
        next_ones = {answer.json().get("refresh_token", held) for answer in answers}
        expect(len(next_ones) == 1, f"{len(next_ones)} successors of one refresh token")
        expect((next_ones == {held}) == bool(client.secret), "rotation is for the client without a secret")
        # Whoever has the successor goes on; the old one then comes too late, and that is a replay.
        (successor,) = next_ones
        if not client.secret:
            later = server.refresh(successor, client).json()["refresh_token"]
            expect_refused("a token of long ago", server.refresh(held, client), 400, "invalid_grant")
            expect_refused("after a replay", server.refresh(later, client), 400, "invalid_grant")


@check
def refresh_tokens_open_no_more_than_was_allowed(world):
    server = Server(world)
    code = server.code(scope="r:* offline_access")
    token = server.redeem(code).json()
    held = token["refresh_token"]
    expect_refused("wider scope", server.refresh(held, scope="r:* w:*"), 400, "invalid_scope")
    expect_refused("another client", server.refresh(held, server.other), 400, "invalid_grant")
    expect_refused("an access token", server.refresh(token["access_token"]), 400, "invalid_grant")
    expect_refused("a code", server.refresh(server.code()), 400, "invalid_grant")
    status = linking.devices(world, held).status_code
    expect(status == 401, f"a refresh token as access token gets {status}")
    narrow = server.refresh(held, scope="r:*").json()
    expect(narrow["scope"] == "r:*", f"a narrower scope is {narrow['scope']}")
    again = server.refresh(held).json()
    expect("offline_access" in again["scope"].split(), f"narrowing once narrowed the grant: {again['scope']}")


@check
def token_requests_that_are_not_well_formed_have_the_error_of_the_standard(world):
    server = Server(world)
    client, form = server.client, {"Content-Type": "application/x-www-form-urlencoded"}
    good = {"grant_type": "refresh_token", "refresh_token": "x"}
    text = urllib.parse.urlencode(good)

    def ask(data, client=client, **more):
        return server.post("token_endpoint", data, client, **more)

    refused = (
        ("no grant type", ask({"refresh_token": "x"}), 400, "invalid_request"),
        ("empty grant type", ask({"grant_type": ""}), 400, "invalid_request"),
        ("unknown grant type", ask({"grant_type": "magic"}), 400, "unsupported_grant_type"),
        ("password", ask({"grant_type": "password", "username": "a", "password": "b"}), 400, "unsupported_grant_type"),
        ("client credentials", ask({"grant_type": "client_credentials"}), 400, "unsupported_grant_type"),
        ("parameter twice", ask(f"{text}&grant_type=refresh_token"), 400, "invalid_request"),
        ("JSON", ask('{"grant_type":"refresh_token"}', headers={"Content-Type": "application/json"}), 400, "invalid_request"),
        ("no content type", ask(text, headers={"Content-Type": ""}), 400, "invalid_request"),
        ("bad escape", ask("grant_type=%zz"), 400, None),
        ("no UTF-8", ask("grant_type=%ff%fe"), 400, "invalid_request"),
        ("two ways to authenticate", ask({**good, "client_id": client.id, "client_secret": client.secret}), 400, "invalid_request"),
        ("wrong secret", ask(good, type(client)(client.id, "wrong", "")), 401, "invalid_client"),
        ("unknown client", ask(good, type(client)("client-nobody", "wrong", "")), 401, "invalid_client"),
        ("nobody", ask(good, None), 401, "invalid_client"),
        ("confidential without a secret", ask({**good, "client_id": client.id}, None), 401, "invalid_client"),
    )
    for name, answer, status, error in refused:
        if name in ("bad escape", "nobody"):
            # What exactly is wrong is told in one of two ways.
            expect(answer.status_code in (400, 401), f"{name}: {answer.status_code}")
            continue
        expect_refused(name, answer, status, error)
    by_name = {name: answer for name, answer, _, _ in refused}
    expect(by_name["wrong secret"].headers["www-authenticate"].startswith("Basic"), "no challenge for Basic")
    expect(by_name["wrong secret"].content == by_name["unknown client"].content, "an unknown client looks different")
    in_url = requests.post(
        f"{server.at['token_endpoint']}?client_id={client.id}&client_secret={client.secret}", data=text, headers=form,
        verify=world.cloud.ca, timeout=10,
    )
    expect_refused("a secret in the URL", in_url, 400, "invalid_request")
    for method in ("GET", "PUT", "DELETE"):
        answer = requests.request(method, server.at["token_endpoint"], verify=world.cloud.ca, timeout=10)
        expect(answer.status_code == 405 and answer.headers["allow"] == "POST", f"{method}: {answer.status_code}")
    long = ask({**good, "refresh_token": "x" * 100_000})
    expect(long.status_code in (400, 413), f"a long parameter: {long.status_code}")


@check
def revocation_and_introspection_tell_nobody_about_the_tokens_of_others(world):
    server = Server(world)
    mine = server.tokens()
    access, held = mine["access_token"], mine["refresh_token"]
    for token in (access, held):
        foreign = server.post("introspection_endpoint", {"token": token}, server.other)
        expect(foreign.json() == {"active": False}, f"another client reads {foreign.json()}")
        # Answered as for a token that is none, or refused; but it lives.
        answer = server.post("revocation_endpoint", {"token": token}, server.other)
        expect(answer.status_code in (200, 400), f"revocation by another client: {answer.status_code}")
    expect(linking.devices(world, access).status_code == 200, "another client ended the link")
    for token in ("", "x", "a.b.c", access[:-2], server.code()):
        seen = server.post("introspection_endpoint", {"token": token}, server.client)
        known = (200, {"active": False}) if token else (400, {"error": "invalid_request"})
        expect((seen.status_code, seen.json()) == known, f"introspection of {token[:9]!r}: {seen.status_code} {seen.text}")
        gone = server.post("revocation_endpoint", {"token": token}, server.client)
        expect(gone.status_code == (200 if token else 400), f"revocation of {token[:9]!r}: {gone.status_code}")
    for endpoint in ("introspection_endpoint", "revocation_endpoint"):
        expect_refused(f"{endpoint} by nobody", server.post(endpoint, {"token": access}), 401, "invalid_client")
        answer = server.get(server.at[endpoint], params={"token": access})
        expect(answer.status_code == 405, f"GET of {endpoint}: {answer.status_code}")
    wrong_hint = {"token": held, "token_type_hint": "access_token"}
    expect(server.post("revocation_endpoint", wrong_hint, server.client).status_code == 200, "revocation with a wrong hint")
    expect(linking.devices(world, access).status_code == 401, "the link outlived its revocation")
    expect(server.post("revocation_endpoint", wrong_hint, server.client).status_code == 200, "a second revocation")


@check
def pages_take_a_decision_once_from_the_browser_that_was_asked(world):
    server = Server(world)
    url = server.authorize_url(server.request())
    user = server.user

    def at_consent(browser):
        page = browser.get(url)
        (form,) = read_forms(page)
        answer = submit(browser, page, form, {"username": user.name, "password": user.password})
        expect(answer.status_code == 303, f"a login is answered {answer.status_code}")
        page = browser.get(world.cloud.url + answer.headers["location"])
        return page, read_forms(page)[0]

    with linking.trusting(requests.Session(), world) as browser, linking.trusting(requests.Session(), world) as thief:
        before = browser.get(url, allow_redirects=False)
        cookie = before.headers["set-cookie"]
        for wanted in ("__Host-", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            expect(wanted in cookie, f"the session's cookie has no {wanted}")
        page, form = at_consent(browser)
        for header in ("content-security-policy", "x-frame-options", "referrer-policy", "cache-control"):
            expect(header in page.headers, f"the consent page has no {header}")
        expect("access-control-allow-origin" not in page.headers, "other origins may read the consent page")
        allow = ("decision", "allow")
        stolen = submit(thief, page, form, button=allow)
        expect(stolen.status_code == 400, f"another browser's decision is answered {stolen.status_code}")
        forged = submit(browser, page, form, {"csrf": "x"}, button=allow)
        expect(forged.status_code == 400, f"a decision without its token is answered {forged.status_code}")
        answer = submit(browser, page, form, button=allow)
        expect(answer.status_code == 303 and "code=" in answer.headers["location"], f"{answer.status_code}")
        twice = submit(browser, page, form, button=allow)
        expect(twice.status_code == 400, f"the same decision again is answered {twice.status_code}")


@check
def a_host_header_changes_no_address(world):
    head = b"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n"
    answer = raw_https(world.cloud, head + b"Connection: close\r\n\r\n")
    expect(b"evil.example" not in answer, "the metadata repeats a header")
