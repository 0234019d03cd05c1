// One session of node-dtls-client: sends a request, prints the answer in hexadecimal digits, or why there is none.
// node client.mjs NODE_MODULES PORT IDENTITY KEY SUITE REQUEST
import { createRequire } from "node:module";

const [modules, port, identity, key, suite, request] = process.argv.slice(2);
const { dtls } = createRequire(`${modules}/`)("node-dtls-client");

const end = (code, text) => {
    console.log(text);
    process.exit(code);
};
const socket = dtls.createSocket({
    type: "udp4",
    address: "127.0.0.1",
    port: Number(port),
    // It takes the key as text, a byte for each character.
    psk: { [identity]: Buffer.from(key, "hex").toString("latin1") },
    ciphers: [suite],
    timeout: 5000,
});
socket.on("connected", () => socket.send(Buffer.from(request, "hex")));
socket.on("message", (message) => end(0, message.toString("hex")));
socket.on("error", (error) => end(1, `error: ${error.message}`));
socket.on("close", () => end(1, "closed"));
