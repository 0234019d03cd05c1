"""Debian's libcoap clients as a device: activation with the product's secret, then a session with the device's own."""

import json
import re
import struct
import subprocess

from checks import check, expect
from cloud import derive_key

CLIENTS = ("coap-client-openssl", "coap-client-gnutls")
OCF_CBOR = "10000"
REPRESENTATION = {"state": True, "power": 75, "level": 0.5}


def cbor(value):
    """Just enough of RFC 8949 to write what a device publishes, by hand and not with our own encoder."""
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, int):
        return cbor_head(0, value)
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return cbor_head(4, len(value)) + b"".join(map(cbor, value))
    return cbor_head(5, len(value)) + b"".join(cbor(key) + cbor(value[key]) for key in value)


def cbor_head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    if number < 256:
        return bytes([major << 5 | 24, number])
    if number < 65536:
        return bytes([major << 5 | 25]) + number.to_bytes(2, "big")
    return bytes([major << 5 | 26]) + number.to_bytes(4, "big")


def exchange(world, client, identity, key, path, method="get", payload=None, patience=10, content=OCF_CBOR):
    """One request on a session of its own: (the codes of all responses, such as "2.04", payload, log)."""
    command = [client, "-m", method, "-v", "7", "-B", str(patience), "-u", identity, "-k", key]
    body = world.cloud.path / "payload"
    if payload is not None:
        body.write_bytes(payload)
        command += ["-f", body, "-t", content]
    answer = world.cloud.path / "answer"
    answer.unlink(missing_ok=True)
    command += ["-o", answer, f"coaps://127.0.0.1:{world.cloud.coaps_port}{path}"]
    done = subprocess.run(command, capture_output=True, timeout=20)
    log = (done.stdout + done.stderr).decode(errors="replace")
    # The log shows what was sent and received as `v:1 t:ACK c:2.05 i:...`; requests have a method's name there.
    codes = re.findall(r"v:1 t:\w+ c:([2-5]\.\d\d)", log)
    return codes, answer.read_bytes() if answer.exists() else b"", log


def request(world, client, *arguments):
    """An exchange that must end with a response: (its code, payload)."""
    codes, body, log = exchange(world, client, *arguments)
    expect(codes, f"{client} got no response:\n{log[-3000:]}")
    return codes[-1], body


def activation(device):
    """What a device asks before it has a secret of its own: (identity, key, path)."""
    path = f"/topic/ext/session/{device.product_key}/{device.device_key}/thing/activate/info"
    return device.identity(3), derive_key(device.product_secret), path


@check
def libcoap_activates_a_device_and_comes_back_with_its_own_secret(world):
    for client in CLIENTS:
        device = world.add_device()
        code, body = request(world, client, *activation(device))
        expect(code == "2.04", f"{client}: activation answers {code}")
        info = json.loads(body)["params"]
        expect(info["productKey"] == device.product_key, f"{client}: {info['productKey']}")
        expect(info["deviceKey"] == device.device_key, f"{client}: {info['deviceKey']}")
        expect(info["deviceSecret"] == device.secret, f"{client}: the secret is another one than the operator saw")
        publish(world, client, device)
        represent(world, client, device)
        world.published.append(device.di)
        world.lamp = world.lamp or device
        # From now on the product's secret opens nothing for this device, not even a session.
        codes, _, _ = exchange(world, client, *activation(device), patience=3)
        expect(codes == [], f"{client}: a device that has its own secret activated again: {codes}")


def publish(world, client, device):
    key = derive_key(device.secret)
    links = {
        "di": device.di,
        "links": [
            {"href": "/oic/d", "rt": ["oic.d.light", "oic.wk.d"], "if": ["oic.if.baseline", "oic.if.r"], "p": {"bm": 3}},
            {"href": "/light/1", "rt": ["core.light"], "if": ["oic.if.baseline", "oic.if.rw"], "p": {"bm": 3}},
        ],
        "ttl": 600,
    }
    code, _ = request(world, client, device.identity(2), key, "/oic/rd", "post", cbor(links))
    expect(code == "2.04", f"{client}: publishing links answers {code}")


def represent(world, client, device, value=REPRESENTATION):
    key = derive_key(device.secret)
    code, _ = request(world, client, device.identity(2), key, "/light/1", "post", cbor(value))
    expect(code == "2.04", f"{client}: a representation answers {code}")


@check
def libcoap_is_refused_what_a_product_secret_does_not_allow(world):
    for client in CLIENTS:
        device = world.add_device()
        key = derive_key(device.product_secret)
        code, _ = request(world, client, device.identity(3), key, "/oic/rd", "post", cbor({"di": device.di, "links": []}))
        expect(code.startswith("4."), f"{client}: a session in mode 3 published links: {code}")
