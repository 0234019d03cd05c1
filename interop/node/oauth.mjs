// OAuth clients of npm: each links, refreshes, introspects and revokes. `node oauth.mjs TASK`, TASK in JSON; it says where a
// browser has to go, and reads on standard input where the browser was sent. With `pushes` the client pushes its request (RFC 9126),
// with `binds` its tokens are bound to a key (RFC 9449); of kind `key` it authenticates
// by the key in `jwk` (RFC 7523).
import { createInterface } from "node:readline/promises";
import * as web from "oauth4webapi";
import * as openid from "openid-client";
import simple from "simple-oauth2";

const task = JSON.parse(process.argv[2]);
const scope = "r:* w:* offline_access";
const lines = createInterface({ input: process.stdin });

async function browse(url) {
  console.log(JSON.stringify({ url: String(url) }));
  const { value } = await lines[Symbol.asyncIterator]().next();
  return new URL(value);
}

const bearer = (token) => fetch(task.devices, { headers: { authorization: `Bearer ${token}` } });

// What Web Cryptography calls the algorithm of a JWK.
const named = {
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  EdDSA: { name: "Ed25519" },
};
const key = task.jwk && await crypto.subtle.importKey("jwk", task.jwk, named[task.jwk.alg], false, ["sign"]);

const defined = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

// What each library has for each step.
const libraries = {
  async "openid-client"() {
    const how = {
      basic: openid.ClientSecretBasic, body: openid.ClientSecretPost, public: openid.None,
      key: () => openid.PrivateKeyJwt(key),
    }[task.kind];
    const config = await openid.discovery(
      new URL(task.issuer), task.client_id, undefined, how(task.client_secret), { algorithm: "oauth2" });
    const pkceCodeVerifier = openid.randomPKCECodeVerifier();
    const code_challenge = await openid.calculatePKCECodeChallenge(pkceCodeVerifier);
    const expectedState = openid.randomState();
    const bound = task.binds ? { DPoP: openid.getDPoPHandle(config, await openid.randomDPoPKeyPair()) } : {};
    const request = {
      redirect_uri: task.redirect_uri, scope, state: expectedState, code_challenge, code_challenge_method: "S256",
    };
    return {
      ask: () => task.pushes
        ? openid.buildAuthorizationUrlWithPAR(config, request, bound)
        : openid.buildAuthorizationUrl(config, request),
      redeem: (url) => openid.authorizationCodeGrant(config, url, { pkceCodeVerifier, expectedState }, undefined, bound),
      refresh: (token) => openid.refreshTokenGrant(config, token.refresh_token, undefined, bound),
      get: (token) => openid.fetchProtectedResource(
        config, token, new URL(task.devices), "GET", undefined, undefined, bound),
      introspect: (token) => openid.tokenIntrospection(config, token.access_token),
      revoke: (token) => openid.tokenRevocation(config, token.refresh_token),
    };
  },
  async oauth4webapi() {
    const how = {
      basic: web.ClientSecretBasic, body: web.ClientSecretPost, public: web.None, key: () => web.PrivateKeyJwt(key),
    }[task.kind];
    const [client, auth, issuer] = [{ client_id: task.client_id }, how(task.client_secret), new URL(task.issuer)];
    const server = await web.processDiscoveryResponse(issuer, await web.discoveryRequest(issuer, { algorithm: "oauth2" }));
    const verifier = web.generateRandomCodeVerifier();
    const challenge = await web.calculatePKCECodeChallenge(verifier);
    const state = web.generateRandomState();
    const bound = task.binds ? { DPoP: web.DPoP(client, await web.generateKeyPair("ES256")) } : {};
    return {
      async ask() {
        const url = new URL(server.authorization_endpoint);
        let request = {
          response_type: "code", client_id: task.client_id, redirect_uri: task.redirect_uri, scope, state,
          code_challenge: challenge, code_challenge_method: "S256",
        };
        if (task.pushes) {
          const answer = await web.pushedAuthorizationRequest(server, client, auth, request, bound);
          const { request_uri } = await web.processPushedAuthorizationResponse(server, client, answer);
          request = { client_id: task.client_id, request_uri };
        }
        url.search = new URLSearchParams(request);
        return url;
      },
      get: (token) => web.protectedResourceRequest(token, "GET", new URL(task.devices), undefined, undefined, bound),
      async redeem(url) {
        const answer = web.validateAuthResponse(server, client, url, state);
        return web.processAuthorizationCodeResponse(server, client,
          await web.authorizationCodeGrantRequest(server, client, auth, answer, task.redirect_uri, verifier, bound));
      },
      refresh: async (token) => web.processRefreshTokenResponse(server, client,
        await web.refreshTokenGrantRequest(server, client, auth, token.refresh_token, bound)),
      introspect: async (token) => web.processIntrospectionResponse(server, client,
        await web.introspectionRequest(server, client, auth, token.access_token)),
      revoke: async (token) => web.processRevocationResponse(
        await web.revocationRequest(server, client, auth, token.refresh_token)),
    };
  },
  async "simple-oauth2"() {
    const client = new simple.AuthorizationCode({
      client: { id: task.client_id, secret: task.client_secret },
      auth: { tokenHost: task.issuer, authorizePath: "/authorize", tokenPath: "/token", revokePath: "/revoke" },
      options: { authorizationMethod: task.kind === "basic" ? "header" : "body" },
    });
    const verifier = web.generateRandomCodeVerifier();
    const code_challenge = await web.calculatePKCECodeChallenge(verifier);
    let held;
    return {
      ask: () => client.authorizeURL({
        redirect_uri: task.redirect_uri, scope, state: "state", code_challenge, code_challenge_method: "S256",
      }),
      async redeem(url) {
        const code = url.searchParams.get("code");
        held = await client.getToken({ code, redirect_uri: task.redirect_uri, code_verifier: verifier });
        return held.token;
      },
      async refresh({ refresh_token }) {
        // It loses a refresh token that stays.
        held = client.createToken({ refresh_token, ...defined((await held.refresh()).token) });
        return held.token;
      },
      revoke: () => held.revoke("refresh_token"),
    };
  },
};

const steps = await libraries[task.library]();
const told = {};
async function devices(token) {
  if (!task.binds) return (await bearer(token)).status;
  try {
    return (await steps.get(token)).status;
  } catch (refused) {
    // A challenge is an error to both.
    return refused.status ?? refused.response?.status ?? String(refused);
  }
}
const first = await steps.redeem(await browse(await steps.ask()));
told.linked = await devices(first.access_token);
if (task.binds) {
  told.type = first.token_type.toLowerCase();
  told.without_key = (await bearer(first.access_token)).status;
}
// A client whose refresh token stays is not given it again.
const second = { refresh_token: first.refresh_token, ...(await steps.refresh(first)) };
told.refreshed = await devices(second.access_token);
told.rotated = second.refresh_token !== first.refresh_token;
if (steps.introspect && (task.client_secret || key)) told.active = (await steps.introspect(second)).active;
await steps.revoke(second);
told.revoked = await devices(second.access_token);
if (steps.introspect && (task.client_secret || key)) told.active_after = (await steps.introspect(second)).active;
try {
  await steps.refresh(second);
} catch (refused) {
  told.refused = refused.error ?? refused.data?.payload?.error ?? String(refused);
}
console.log(JSON.stringify(told));
lines.close();
