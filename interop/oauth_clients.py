"""OAuth clients other than Authlib, each with a client of every kind: code with PKCE, refresh, introspection, revocation."""

import json
import os
import shutil
import subprocess

import requests
from oauthlib.oauth2 import InvalidGrantError, WebApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

import linking
from browser import ROOT, TARGET
from checks import Skipped, check, expect
from pages import log_in_and_allow

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
