"""A refusal probe for pushed requests (RFC 9126), resources (RFC 8707) and proofs of possession (RFC 9449), by a client of its own."""

import base64
import hashlib
import json
import secrets
import time

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from checks import check, expect
from cloud import Cloud
from oauth_clients import node_client
from refusals import VERIFIER, Server, expect_refused


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A key and the proofs that are made with it."""

    def __init__(self, algorithm="ES256"):
        self.algorithm = algorithm
        if algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
            point = self.private.public_key().public_numbers()
            x, y = (b64(number.to_bytes(32)) for number in (point.x, point.y))
            self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(self.private.public_key().public_bytes_raw())}

    def sign(self, data):
        if self.algorithm != "ES256":
            return self.private.sign(data)
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def proof(self, method, url, token=None, header=None, **changed):
        """A proof; in header and claims, None takes a member away."""
        head = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk, **(header or {})}
        claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time())}
        if token:
            claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
        parts = [{name: value for name, value in part.items() if value is not None} for part in (head, {**claims, **changed})]
        signed = f"{b64(parts[0])}.{b64(parts[1])}"
        return f"{signed}.{b64(self.sign(signed.encode()))}"

    def thumbprint(self):
        text = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return b64(hashlib.sha256(text.encode()).digest())


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def with_proof(*proofs):
    """What a request with these has more; several are one header with commas, as HTTP joins them (RFC 9110, 5.3)."""
    return {"headers": {**FORM, "DPoP": ", ".join(proofs)}}


@check
def pushed_requests_are_checked_at_once_and_used_once(world):
    server = Server(world)
    client, uri = server.client, server.client.redirect_uri

    def push(by=client, **changed):
        return server.post("pushed_authorization_request_endpoint", server.request(**changed), by)

    for name, answer, status, error in (
        ("nobody", push(None), 401, "invalid_client"),
        ("wrong secret", push(type(client)(client.id, "wrong", uri)), 401, "invalid_client"),
        ("in another's name", push(server.other), 400, "invalid_request"),
        ("other redirect URI", push(redirect_uri="https://evil.example/"), 400, "invalid_request"),
        ("no response type", push(response_type=None), 400, "invalid_request"),
        ("token in the front channel", push(response_type="token"), 400, "unsupported_response_type"),
        ("unknown scope", push(scope="everything"), 400, "invalid_scope"),
        ("no challenge", push(code_challenge=None, code_challenge_method=None), 400, "invalid_request"),
        ("plain", push(code_challenge_method="plain"), 400, "invalid_request"),
        ("unknown resource", push(resource="https://unknown.example/"), 400, "invalid_target"),
        ("reference inside", push(request_uri="urn:ietf:params:oauth:request_uri:x"), 400, "invalid_request"),
        ("request object", push(request="e30.e30."), 400, "request_not_supported"),
    ):
        expect_refused(name, answer, status, error)
    endpoint = server.at["pushed_authorization_request_endpoint"]
    expect(server.get(endpoint).status_code == 405, "GET of the endpoint is not 405")
    large = server.post("pushed_authorization_request_endpoint", "state=" + "x" * 100_000, client)
    expect(large.status_code == 413, f"a large request: {large.status_code}")

    pushed = push()
    expect(pushed.status_code == 201 and 5 <= pushed.json()["expires_in"] <= 600, f"{pushed.status_code} {pushed.text}")
    expect("no-store" in pushed.headers["cache-control"], f"{pushed.headers}")
    reference = pushed.json()["request_uri"]
    for name, pairs in (
        ("another client", {"client_id": server.other.id, "request_uri": reference}),
        ("no client", {"request_uri": reference}),
        ("unknown", {"client_id": client.id, "request_uri": reference[:-1]}),
    ):
        answer = server.get(server.authorize_url(pairs))
        expect(answer.status_code == 400 and "location" not in answer.headers, f"{name}: {answer.status_code}")
    good = {"client_id": client.id, "request_uri": reference, "redirect_uri": uri, "scope": "everything", "state": "another"}
    seen = server.answer_to(good)
    expect("code" in seen and seen["state"] == "a state & more", f"a pushed request is answered {seen}")
    again = server.get(server.authorize_url(good))
    expect(again.status_code == 400 and "location" not in again.headers, f"a second use: {again.status_code}")


@check
def a_client_that_has_to_push_gets_nothing_otherwise(world):
    server = Server(world)
    made = world.cloud.admin(
        "client", "add", "Pushes", "--redirect-uri", "https://pushes.example/", "--require-pushed-requests", "--dpop-bound"
    )
    server.client = type(server.client)(made["client_id"], made["client_secret"], "https://pushes.example/")
    expect(server.answer_to(server.request()).get("error") == "invalid_request", "a plain request was taken")
    pushed = server.post("pushed_authorization_request_endpoint", server.request(), server.client).json()
    pairs = {"client_id": server.client.id, "request_uri": pushed["request_uri"], "redirect_uri": server.client.redirect_uri}
    code = server.answer_to(pairs)["code"]
    expect_refused("without a proof", server.redeem(code), 400, "invalid_dpop_proof")


@check
def tokens_for_another_api_open_nothing_here(world):
    server = Server(world)
    own = f"{server.at['issuer']}/api/v1"
    for named, error in (("https://unknown.example/", "invalid_target"), ("relative", "invalid_target"), (f"{own}#part", "invalid_target")):
        seen = server.answer_to(server.request(resource=named))
        expect(seen.get("error") == error and "code" not in seen, f"{named}: {seen}")
    code = server.code(resource=own)
    expect_refused("more than granted", server.redeem(code, resource="https://unknown.example/"), 400, "invalid_target")
    token = server.redeem(code, resource=own).json()
    expect_refused("refresh", server.refresh(token["refresh_token"], resource="https://unknown.example/"), 400, "invalid_target")
    seen = server.post("introspection_endpoint", {"token": token["access_token"]}, server.client).json()
    expect(seen["aud"] == own, f"the audience is {seen['aud']}")


@check
def proofs_that_are_not_for_the_token_request_are_refused(world):
    server = Server(world)
    url, key, now = server.at["token_endpoint"], Key(), int(time.time())
    private = {**key.jwk, "d": b64(key.private.private_numbers().private_value.to_bytes(32))}
    held = server.tokens()["refresh_token"]

    def refresh(*proofs):
        pairs = {"grant_type": "refresh_token", "refresh_token": held}
        return server.post("token_endpoint", pairs, server.client, **with_proof(*proofs))

    good = key.proof("POST", url)
    signed, signature = good.rsplit(".", 1)
    cases = {
        "no JWT": "x",
        "two": None,
        "of another key": f"{signed}.{Key().proof('POST', url).rsplit('.', 1)[1]}",
        "cut signature": f"{signed}.{signature[:-4]}",
        "no signature": f"{signed}.",
        "other type": key.proof("POST", url, header={"typ": "JWT"}),
        "access token type": key.proof("POST", url, header={"typ": "at+jwt"}),
        "no algorithm": key.proof("POST", url, header={"alg": "none"}),
        "HMAC": key.proof("POST", url, header={"alg": "HS256"}),
        "no key": key.proof("POST", url, header={"jwk": None}),
        "private key": key.proof("POST", url, header={"jwk": private}),
        "symmetric key": key.proof("POST", url, header={"jwk": {"kty": "oct", "k": "AAAA"}}),
        "point off the curve": key.proof("POST", url, header={"jwk": {**key.jwk, "y": key.jwk["x"]}}),
        "critical extension": key.proof("POST", url, header={"crit": ["b64"]}),
        "other method": key.proof("GET", url),
        "other endpoint": key.proof("POST", server.at["revocation_endpoint"]),
        "other host": key.proof("POST", "https://evil.example/token"),
        "old": key.proof("POST", url, iat=now - 120),
        "of the future": key.proof("POST", url, iat=now + 120),
        "no time": key.proof("POST", url, iat=None),
        "no identifier": key.proof("POST", url, jti=None),
        "no method": key.proof("POST", url, htm=None),
        "no URL": key.proof("POST", url, htu=None),
    }
    for name, proof in cases.items():
        answer = refresh(key.proof("POST", url), key.proof("POST", url)) if proof is None else refresh(proof)
        expect_refused(name, answer, 400, "invalid_dpop_proof")
    answer = refresh(good)
    expect(answer.status_code == 200 and answer.json()["token_type"] == "DPoP", f"{answer.status_code} {answer.text[:200]}")
    expect_refused("the same once more", refresh(good), 400, "invalid_dpop_proof")
    other = Key("EdDSA")
    answer = refresh(other.proof("POST", f"{url}?query#part"))
    expect(answer.status_code == 200, f"EdDSA, and a query: {answer.status_code} {answer.text[:200]}")


@check
def a_bound_token_opens_nothing_without_a_proof_for_that_request(world):
    server = Server(world)
    public, key = server.public, Key()
    url, api = server.at["token_endpoint"], f"{world.cloud.url}/api/v1/devices"

    def ask(*pairs, scheme="DPoP", token=None, path=api):
        headers = {"Authorization": f"{scheme} {token or access}", **dict(pairs)}
        return requests.get(path, headers=headers, verify=world.cloud.ca, timeout=10)

    def exchange(code, proof):
        pairs = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": public.redirect_uri, "client_id": public.id,
            "code_verifier": VERIFIER,
        }
        return server.post("token_endpoint", pairs, **with_proof(proof))

    code = server.code(public, dpop_jkt=key.thumbprint())
    thief = Key()
    answer = exchange(code, thief.proof("POST", url))
    expect_refused("a code by another key", answer, 400, "invalid_grant")
    expect_refused("a code without a key", server.redeem(code, public), 400, "invalid_grant")
    token = exchange(code, key.proof("POST", url)).json()
    access, held = token["access_token"], token["refresh_token"]
    expect(ask(("DPoP", key.proof("GET", api, access))).status_code == 200, "the holder of the key is refused")

    used = key.proof("GET", api, access)
    expect(ask(("DPoP", used)).status_code == 200, "the holder of the key is refused")
    refused = {
        "as bearer": ask(scheme="Bearer"),
        "as bearer with a proof": ask(("DPoP", key.proof("GET", api, access)), scheme="Bearer"),
        "without a proof": ask(),
        "used proof": ask(("DPoP", used)),
        "another key": ask(("DPoP", thief.proof("GET", api, access))),
        "another token's": ask(("DPoP", key.proof("GET", api, held))),
        "no token in it": ask(("DPoP", key.proof("GET", api))),
        "another method": ask(("DPoP", key.proof("POST", api, access))),
        "another path": ask(("DPoP", key.proof("GET", f"{api}/x", access))),
        "another host": ask(("DPoP", key.proof("GET", "https://evil.example/api/v1/devices", access))),
        "with a lying host": ask(("DPoP", key.proof("GET", "https://evil.example/api/v1/devices", access)), ("Host", "evil.example")),
        "old": ask(("DPoP", key.proof("GET", api, access, iat=int(time.time()) - 120))),
    }
    for name, answer in refused.items():
        expect(answer.status_code == 401, f"{name}: {answer.status_code}")
        expect("DPoP" in answer.headers["www-authenticate"], f"{name}: {answer.headers['www-authenticate']}")
    refresh = {"grant_type": "refresh_token", "refresh_token": held, "client_id": public.id}
    expect_refused("refresh without a key", server.post("token_endpoint", refresh), 400, "invalid_grant")
    answer = server.post("token_endpoint", refresh, **with_proof(thief.proof("POST", url)))
    expect_refused("refresh by another key", answer, 400, "invalid_grant")
    answer = server.post("token_endpoint", refresh, **with_proof(key.proof("POST", url)))
    expect(answer.status_code == 200, f"refresh by the holder: {answer.status_code} {answer.text[:200]}")
    plain = server.tokens()["access_token"]
    answer = ask(("DPoP", key.proof("GET", api, plain)), token=plain)
    expect(answer.status_code == 401, f"a token that is not bound, as a bound one: {answer.status_code}")


@check
def clients_of_npm_put_the_nonces_that_are_demanded_into_their_proofs(world):
    with Cloud(world.cloud.program, settings={"linking.dpop_nonce_seconds": "60"}) as cloud:
        ours = type(world)(cloud)
        server, key = Server(ours), Key()
        url, held = server.at["token_endpoint"], server.tokens()["refresh_token"]
        pairs = {"grant_type": "refresh_token", "refresh_token": held}
        answer = server.post("token_endpoint", pairs, ours.client, **with_proof(key.proof("POST", url)))
        expect_refused("without a nonce", answer, 400, "use_dpop_nonce")
        proof = key.proof("POST", url, nonce=answer.headers["dpop-nonce"])
        answer = server.post("token_endpoint", pairs, ours.client, **with_proof(proof))
        expect(answer.status_code == 200, f"with that nonce: {answer.status_code} {answer.text[:200]}")
        # It asks again by itself when it is given a nonce.
        seen = node_client(ours, "openid-client", "public", ours.public_client, pushes=True, binds=True)
        wanted = {"linked": 200, "refreshed": 200, "type": "dpop", "without_key": 401, "rotated": True, "refused": "invalid_grant"}
        expect({name: seen.get(name) for name in wanted} == wanted, f"{seen}")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")
