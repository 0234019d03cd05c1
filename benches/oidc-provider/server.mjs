// oidc-provider with one client and refresh tokens that are replaced with each use, all in memory; access tokens are JWTs of ES256, as ours.
// `node server.mjs PORT [TOKENS]`; it says in one line of JSON what a token request needs, with a refresh token for each of so many users.
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

// Port 0 is any that is free: its name is only known when it listens, and is not what counts here.
const port = Number(process.argv[2]);
const tokens = Number(process.argv[3] ?? 1);
const issuer = `http://127.0.0.1:${port}`;
const [client_id, client_secret, resource, scope] = ["client-acme", "s".repeat(43), `${issuer}/api`, "r:* w:*"];
const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });

const provider = new Provider(issuer, {
  clients: [{
    client_id, client_secret, token_endpoint_auth_method: "client_secret_post", id_token_signed_response_alg: "ES256",
    grant_types: ["authorization_code", "refresh_token"], response_types: ["code"], redirect_uris: ["https://client.example/callback"],
  }],
  jwks: { keys: [{ ...key, alg: "ES256", use: "sig", kid: "key-1" }] },
  cookies: { keys: ["not used here"] },
  scopes: ["openid", "offline_access", ...scope.split(" ")],
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, Grant: 86400, RefreshToken: 86400 },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope, accessTokenFormat: "jwt", accessTokenTTL: 3600, jwt: { sign: { alg: "ES256" } } }),
    },
  },
});

const client = await provider.Client.find(client_id);
const refresh_tokens = [];
for (let number = 0; number < tokens; number += 1) {
  const accountId = `user-${String(number).padStart(2, "0")}`;
  const grant = new provider.Grant({ accountId, clientId: client_id });
  grant.addOIDCScope("offline_access");
  grant.addResourceScope(resource, scope);
  const refresh = new provider.RefreshToken({
    client, accountId, grantId: await grant.save(), gty: "authorization_code", scope: `offline_access ${scope}`, resource,
  });
  refresh_tokens.push(await refresh.save());
}
const server = provider.listen(port, "127.0.0.1", () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}/token`, client_id, client_secret, refresh_tokens }));
});
