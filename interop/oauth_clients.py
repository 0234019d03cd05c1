"""OAuth clients other than Authlib, each with a client of every kind: code with PKCE, refresh, introspection, revocation."""

import base64
import hmac
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time

import requests
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from oauthlib.oauth2 import InvalidGrantError, WebApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

import linking
from browser import ROOT, TARGET
from checks import Skipped, check, expect
from pages import log_in_and_allow
from refusals import VERIFIER, Server, expect_refused

SCOPE = ["r:*", "w:*", "offline_access"]


def kinds(world):
    """What a client is, and how it says who it is: (name, client, HTTP authentication, members of the body)."""
    confidential, public = world.client, world.public_client
    body = {"client_id": confidential.id, "client_secret": confidential.secret}
    yield "Basic", confidential, HTTPBasicAuth(confidential.id, confidential.secret), {}
    yield "in the body", confidential, None, body
    yield "public", public, None, {"client_id": public.id}


@check
def requests_oauthlib_links_refreshes_and_revokes_with_a_client_of_every_kind(world):
    server = linking.metadata(world)
    for name, client, basic, body in kinds(world):
        session = OAuth2Session(
            client=WebApplicationClient(client.id), redirect_uri=client.redirect_uri, scope=SCOPE, pkce="S256"
        )
        linking.trusting(session, world)
        url, _ = session.authorization_url(server["authorization_endpoint"])
        with linking.trusting(requests.Session(), world) as browser:
            answer = log_in_and_allow(browser, url, world.user.name, world.user.password, client.redirect_uri)
        # What it reads as credentials of its own it would send as well.
        how = {"auth": basic} if basic else {"include_client_id": True, "client_secret": client.secret}
        token = session.fetch_token(server["token_endpoint"], authorization_response=answer, **how)
        expect(set(token["scope"]) == set(SCOPE), f"{name}: the scope is {token['scope']}")
        listed = linking.devices(world, token["access_token"])
        expect(listed.status_code == 200, f"{name}: the access token gets {listed.status_code}")

        first = token["refresh_token"]
        token = session.refresh_token(server["token_endpoint"], refresh_token=first, auth=basic, **body)
        listed = linking.devices(world, token["access_token"])
        expect(listed.status_code == 200, f"{name}: the refreshed access token gets {listed.status_code}")
        rotated = token.get("refresh_token", first) != first
        expect(rotated == (client is world.public_client), f"{name}: rotated is {rotated}")

        def post(endpoint, credential, **more):
            form = {"token": credential, **body, **more}
            return requests.post(server[endpoint], data=form, auth=basic, verify=world.cloud.ca, timeout=10)

        if client.secret:
            seen = post("introspection_endpoint", token["access_token"]).json()
            expect(seen["active"] and seen["client_id"] == client.id, f"{name}: introspection says {seen}")
        gone = post("revocation_endpoint", token["refresh_token"], token_type_hint="refresh_token")
        expect(gone.status_code == 200, f"{name}: revocation is answered {gone.status_code}")
        listed = linking.devices(world, token["access_token"])
        expect(listed.status_code == 401, f"{name}: the access token outlived its link: {listed.status_code}")
        if client.secret:
            seen = post("introspection_endpoint", token["access_token"]).json()
            expect(seen == {"active": False}, f"{name}: introspection says {seen}")
        try:
            session.refresh_token(server["token_endpoint"], refresh_token=token["refresh_token"], auth=basic, **body)
        except InvalidGrantError:
            continue
        raise AssertionError(f"{name}: a revoked refresh token was taken")


def task_of(world, kind, client, **more):
    """What a client in another language is told to do."""
    return {
        "kind": kind,
        "issuer": world.cloud.url,
        "devices": f"{world.cloud.url}/api/v1/devices",
        "client_id": client.id,
        "client_secret": client.secret,
        "redirect_uri": client.redirect_uri,
        **more,
    }


def converse(world, name, command, client, environment=None):
    """Runs a client that says where a browser has to go, and is told where that was sent; what it saw."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, **pipes)
    try:
        asks = process.stdout.readline()
        expect(asks, f"{name}: {process.poll()} {asks}")
        with linking.trusting(requests.Session(), world) as browser:
            url = json.loads(asks)["url"]
            answer = log_in_and_allow(browser, url, world.user.name, world.user.password, client.redirect_uri)
        told, errors = process.communicate(answer + "\n", timeout=30)
    except BaseException:
        process.kill()
        print(process.communicate()[1][-2000:])
        raise
    expect(process.returncode == 0, f"{name}: {errors[-2000:]}")
    return json.loads(told)


def node_client(world, library, kind, client, **more):
    """Has a client of npm do it all; what it saw."""
    packages = TARGET / "node"
    if not (packages / "node_modules" / library).is_dir():
        raise Skipped(f"{library} is not installed")
    script = shutil.copy(ROOT / "interop" / "node" / "oauth.mjs", packages)
    task = task_of(world, kind, client, library=library, **more)
    # Node 18, which is Debian's, has WebCrypto behind an option.
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(world.cloud.ca)}
    if subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.startswith("v18."):
        environment["NODE_OPTIONS"] = "--experimental-global-webcrypto"
    return converse(world, f"{library} {kind}", ["node", script, json.dumps(task)], client, environment)


@check
def clients_of_npm_link_refresh_introspect_and_revoke_as_clients_of_every_kind(world):
    for library in ("openid-client", "oauth4webapi", "simple-oauth2"):
        for kind in ("basic", "body", "public"):
            client = world.public_client if kind == "public" else world.client
            if library == "simple-oauth2" and kind == "public":
                # It knows no client without a secret.
                continue
            seen = node_client(world, library, kind, client)
            wanted = {"linked": 200, "refreshed": 200, "rotated": kind == "public", "revoked": 401}
            wanted["refused"] = "invalid_grant"
            if library != "simple-oauth2" and kind != "public":
                wanted |= {"active": True, "active_after": False}
            expect(seen == wanted, f"{library} {kind}: {seen}")


@check
def clients_of_npm_push_their_requests_and_bind_their_tokens_to_a_key(world):
    """RFC 9126 and RFC 9449, each library with what it makes of them."""
    for library in ("openid-client", "oauth4webapi"):
        for kind, pushes, binds in (("basic", True, True), ("public", True, True), ("body", True, False), ("public", False, True)):
            client = world.public_client if kind == "public" else world.client
            seen = node_client(world, library, kind, client, pushes=pushes, binds=binds)
            wanted = {"linked": 200, "refreshed": 200, "rotated": kind == "public", "revoked": 401, "refused": "invalid_grant"}
            if binds:
                wanted |= {"type": "dpop", "without_key": 401}
            if kind != "public":
                wanted |= {"active": True, "active_after": False}
            expect(seen == wanted, f"{library} {kind} {pushes} {binds}: {seen}")


def public_half(world, key):
    """A file with the public half of a key, as an operator is given it."""
    with tempfile.NamedTemporaryFile("w", suffix=".jwk", delete=False) as file:
        json.dump(key.as_dict(private=False), file)
    return file.name


def keyed_client(world, key):
    """A client that proves who it is by a key, and has no secret."""
    made = world.add_client(f"Keyed {key.get('alg')}", world.client.redirect_uri, "--key", public_half(world, key))
    expect(made.secret is None, f"a client with a key has a secret: {made}")
    return made


def new_keys():
    yield "ES256", ECKey.generate_key("P-256", {"alg": "ES256", "kid": secrets.token_hex(4)})
    yield "RS256", RSAKey.generate_key(2048, {"alg": "RS256", "kid": secrets.token_hex(4)})


@check
def clients_of_npm_prove_who_they_are_by_a_key(world):
    """RFC 7523, with the pushed request, the token endpoint, introspection and revocation."""
    for name, key in new_keys():
        client = keyed_client(world, key)
        for library, pushes, binds in (("openid-client", False, False), ("oauth4webapi", True, True)):
            seen = node_client(world, library, "key", client, jwk=key.as_dict(private=True), pushes=pushes, binds=binds)
            wanted = {"linked": 200, "refreshed": 200, "rotated": False, "revoked": 401, "refused": "invalid_grant"}
            wanted |= {"active": True, "active_after": False}
            if binds:
                wanted |= {"type": "dpop", "without_key": 401}
            expect(seen == wanted, f"{library} {name}: {seen}")


@check
def authlib_proves_who_it_is_by_a_key_which_is_replaced(world):
    server = linking.metadata(world)
    expect("private_key_jwt" in server["token_endpoint_auth_methods_supported"], f"metadata: {server}")
    (name, key), (other_name, other) = new_keys()
    client = keyed_client(world, key)

    def session_with(key, alg):
        session = linking.session_for(world, client)
        session.client_secret, session.token_endpoint_auth_method = key, "private_key_jwt"
        session.register_client_auth_method(PrivateKeyJWT(server["token_endpoint"], alg=alg))
        return session

    session = session_with(key, name)
    url, state = session.create_authorization_url(server["authorization_endpoint"], code_verifier=VERIFIER)
    with linking.trusting(requests.Session(), world) as browser:
        answer = log_in_and_allow(browser, url, world.user.name, world.user.password, client.redirect_uri)
    token = session.fetch_token(server["token_endpoint"], authorization_response=answer, code_verifier=VERIFIER, state=state)
    listed = linking.devices(world, token["access_token"])
    expect(listed.status_code == 200, f"the access token gets {listed.status_code}")
    held = token["refresh_token"]

    def refresh(key, alg):
        return session_with(key, alg).refresh_token(server["token_endpoint"], refresh_token=held)

    expect(linking.refused(lambda: refresh(other, other_name)) == "invalid_client", "a key is taken that nobody registered")
    world.cloud.admin("client", "add-key", client.id, public_half(world, other))
    refresh(key, name)
    refresh(other, other_name)
    world.cloud.admin("client", "retire-keys", client.id)
    expect(linking.refused(lambda: refresh(key, name)) == "invalid_client", "a key is taken that was retired")
    refresh(other, other_name)


@check
def client_assertions_that_prove_nothing_are_refused(world):
    probe = Server(world)
    issuer = probe.at["issuer"]
    (name, key), (_, rsa) = new_keys()
    client = keyed_client(world, key)

    def assertion(signer=key, header=None, **changed):
        now = int(time.time())
        claims = {"iss": client.id, "sub": client.id, "aud": issuer, "iat": now, "exp": now + 60, "jti": secrets.token_urlsafe(16)}
        claims = {member: value for member, value in {**claims, **changed}.items() if value is not None}
        header = {"alg": name, **(header or {})}
        return jwt.encode(header, claims, signer, algorithms=[header["alg"]])

    def redeem(text, code, **more):
        pairs = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": VERIFIER,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": text,
        }
        return probe.post("token_endpoint", {**pairs, **more})

    code, now = probe.code(client), int(time.time())
    head, body, _ = assertion().split(".")
    stranger = ECKey.generate_key("P-256")
    # No library lends itself to this.
    hmac_head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    confused = f"{hmac_head}.{body}"
    mac = hmac.digest(key.as_pem(private=False), confused.encode(), "sha256")
    confused += "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    cases = {
        "for another server": assertion(aud="https://other.example"),
        "for another server, too": assertion(aud=[issuer, "https://other.example"]),
        "for nobody": assertion(aud=None),
        "over": assertion(exp=now - 60),
        "without end": assertion(exp=None),
        "for a year": assertion(exp=now + 365 * 86400),
        "made tomorrow": assertion(iat=now + 86400),
        "not begun": assertion(nbf=now + 86400),
        "without a name": assertion(jti=None),
        "of another issuer": assertion(iss=probe.client.id),
        "of another client": assertion(iss=probe.client.id, sub=probe.client.id),
        "of nobody": assertion(iss="client-nobody", sub="client-nobody"),
        "by a key that it brings": assertion(stranger, {"jwk": stranger.as_dict(private=False)}),
        "by another key": assertion(stranger),
        "RS256": assertion(rsa, {"alg": "RS256"}),
        "HMAC with the public key": confused,
        "unsigned": f"{head}.{body}.",
        "no algorithm": f"eyJhbGciOiJub25lIn0.{body}.",
        "no JWT": "x",
    }
    for what, text in cases.items():
        expect_refused(what, redeem(text, code), 401, "invalid_client")
    expect_refused("a secret, too", redeem(assertion(), code, client_secret="x"), 400, "invalid_request")
    expect_refused("another name", redeem(assertion(), code, client_id=probe.client.id), 400, "invalid_request")
    expect_refused("another type", redeem(assertion(), code, client_assertion_type="urn:other"), 401, "invalid_client")
    in_query = f"{probe.at['token_endpoint']}?client_assertion={assertion()}"
    probe.at["query"] = in_query
    expect_refused("in the query", probe.post("query", {"grant_type": "authorization_code", "code": code}), 400, "invalid_request")
    good = assertion()
    answer = redeem(good, code)
    expect(answer.status_code == 200, f"none of this spent the code: {answer.status_code} {answer.text}")
    expect_refused("a second time", redeem(good, probe.code(client)), 401, "invalid_client")


@check
def the_openidconnect_crate_links_refreshes_introspects_and_revokes_as_a_client_of_every_kind(world):
    program = world.cloud.program.parent / "openidconnect-client"
    if not program.is_file():
        raise Skipped("there is no openidconnect-client (cargo build --manifest-path examples/openidconnect-client/Cargo.toml)")
    for kind in ("basic", "body", "public"):
        client = world.public_client if kind == "public" else world.client
        task = task_of(world, kind, client, ca=str(world.cloud.ca))
        seen = converse(world, f"openidconnect {kind}", [program, json.dumps(task)], client)
        wanted = {"linked": 200, "refreshed": 200, "rotated": kind == "public", "revoked": 401, "refused": "invalid_grant"}
        if kind != "public":
            wanted |= {"active": True, "active_after": False}
        expect(seen == wanted, f"openidconnect {kind}: {seen}")
