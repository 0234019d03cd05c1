"""Authlib as the client-side cloud: it links an account, uses and refreshes the tokens, and ends the link."""

import urllib.parse

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError as ClientError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749 import OAuth2Error

from checks import check, expect
from pages import log_in_and_allow


def metadata(world):
    """The authorization server's own description of itself (RFC 8414)."""
    answer = requests.get(f"{world.cloud.url}/.well-known/oauth-authorization-server", verify=world.cloud.ca, timeout=10)
    expect(answer.status_code == 200, f"metadata: {answer.status_code} {answer.text[:200]}")
    return answer.json()


def session_for(world, client, **more):
    session = OAuth2Session(
        client.id,
        client.secret,
        scope="r:* w:* offline_access",
        redirect_uri=client.redirect_uri,
        code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_basic" if client.secret else "none",
        **more,
    )
    return trusting(session, world)


def trusting(session, world):
    """Trusts the cloud's development CA and nothing else; settings of the environment would come before `verify`."""
    session.trust_env = False
    session.verify = world.cloud.ca
    return session


def link(world, client):
    """From nothing to tokens: (session, the answer's URL, the code verifier)."""
    server = metadata(world)
    session = session_for(world, client)
    verifier = generate_token(48)
    url, state = session.create_authorization_url(server["authorization_endpoint"], code_verifier=verifier)
    with trusting(requests.Session(), world) as browser:
        answer = log_in_and_allow(browser, url, world.user.name, world.user.password, client.redirect_uri)
    seen = urllib.parse.parse_qs(urllib.parse.urlsplit(answer).query)
    expect("code" in seen, f"no code in the answer: {sorted(seen)}")
    expect(seen["state"] == [state], "the state came back changed")
    expect(seen["iss"] == [server["issuer"]], f"the issuer (RFC 9207) is {seen.get('iss')}")
    session.fetch_token(server["token_endpoint"], authorization_response=answer, code_verifier=verifier, state=state)
    return session, answer, verifier


def of_answer(answer, name):
    """A parameter of the URL to which the browser was sent back."""
    (value,) = urllib.parse.parse_qs(urllib.parse.urlsplit(answer).query)[name]
    return value


def refused(call):
    """The OAuth error code that a call ends with."""
    try:
        call()
    except (OAuth2Error, ClientError) as error:
        return error.error
    raise AssertionError("the call was expected to be refused and was not")


def devices(world, token):
    return requests.get(
        f"{world.cloud.url}/api/v1/devices",
        headers={"Authorization": f"Bearer {token}"},
        verify=world.cloud.ca,
        timeout=10,
    )


@check
def authlib_links_an_account_with_pkce(world):
    session, _, _ = link(world, world.client)
    token = session.token
    expect(token["token_type"].lower() == "bearer", f"token type {token['token_type']}")
    expect(token.get("refresh_token"), "no refresh token although offline_access was asked for")
    expect(devices(world, token["access_token"]).status_code == 200, "the fresh access token is not accepted")
    world.link = session


@check
def authlib_refreshes_the_access_token(world):
    before = world.link.token["access_token"]
    world.link.refresh_token(metadata(world)["token_endpoint"], world.link.token["refresh_token"])
    after = world.link.token["access_token"]
    expect(after != before, "the refreshed access token is the former one")
    expect(devices(world, after).status_code == 200, "the refreshed access token is not accepted")


@check
def wrong_verifier_gets_nothing(world):
    server = metadata(world)
    session = session_for(world, world.client)
    url, state = session.create_authorization_url(server["authorization_endpoint"], code_verifier=generate_token(48))
    with trusting(requests.Session(), world) as browser:
        answer = log_in_and_allow(browser, url, world.user.name, world.user.password, world.client.redirect_uri)
    code = refused(
        lambda: session.fetch_token(
            server["token_endpoint"], authorization_response=answer, code_verifier=generate_token(48), state=state
        )
    )
    expect(code == "invalid_grant", f"a wrong verifier is answered with {code}")


@check
def a_code_is_good_once_and_a_second_use_ends_what_the_first_gave(world):
    """Runs on a link of its own: it ends."""
    server = metadata(world)
    session, answer, verifier = link(world, world.client)
    access, refresh = session.token["access_token"], session.token["refresh_token"]
    thief = session_for(world, world.client)
    state = of_answer(answer, "state")
    code = refused(
        lambda: thief.fetch_token(
            server["token_endpoint"], authorization_response=answer, code_verifier=verifier, state=state
        )
    )
    expect(code == "invalid_grant", f"a spent code is answered with {code}")
    expect(devices(world, access).status_code == 401, "the access token outlived the second use of its code")
    code = refused(lambda: session.refresh_token(server["token_endpoint"], refresh))
    expect(code == "invalid_grant", f"after the second use of its code a refresh token is answered with {code}")


@check
def public_client_links_and_rotates(world):
    session, _, _ = link(world, world.public_client)
    first = session.token["refresh_token"]
    session.refresh_token(metadata(world)["token_endpoint"], first)
    expect(session.token["refresh_token"] != first, "a public client's refresh token was not rotated")


@check
def authlib_revokes_the_link(world):
    """Runs on a link of its own: curl still needs the first one."""
    server = metadata(world)
    session, _, _ = link(world, world.client)
    access, refresh = session.token["access_token"], session.token["refresh_token"]
    answer = session.revoke_token(server["revocation_endpoint"], refresh, token_type_hint="refresh_token")
    expect(answer.status_code == 200, f"revocation: {answer.status_code} {answer.text[:200]}")
    code = refused(lambda: session.refresh_token(server["token_endpoint"], refresh))
    expect(code == "invalid_grant", f"a revoked refresh token is answered with {code}")
    expect(devices(world, access).status_code == 401, "the access token outlived its link")
