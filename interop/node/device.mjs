// openid-client of npm as a device without a browser (RFC 8628): `node device.mjs TASK`, TASK in JSON. It says which codes it was
// given, asks until a person has decided, and says what it saw.
import * as openid from "openid-client";

const task = JSON.parse(process.argv[2]);
const config = await openid.discovery(new URL(task.issuer), task.client_id, undefined, openid.None(), { algorithm: "oauth2" });
const codes = await openid.initiateDeviceAuthorization(config, { scope: "r:* offline_access" });
console.log(JSON.stringify(codes));
const first = await openid.pollDeviceAuthorizationGrant(config, codes);

async function devices({ access_token }) {
  return (await fetch(task.devices, { headers: { authorization: `Bearer ${access_token}` } })).status;
}
const told = { linked: await devices(first) };
const second = await openid.refreshTokenGrant(config, first.refresh_token);
told.refreshed = await devices(second);
told.rotated = second.refresh_token !== undefined && second.refresh_token !== first.refresh_token;
console.log(JSON.stringify(told));
