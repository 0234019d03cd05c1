"""The whole cloud as the place where factory-fresh devices learn where they belong, over MQTT and over LwM2M, and as that place.

paho-mqtt and a client of aiocoap and tinydtls are the devices. What they are told is all that they then have: Debian's libcoap clients
and OpenSSL's s_client come in with it over DTLS-PSK and post a reading, which the owner that the enrollment names sees over the
interface.
"""

import base64
import contextlib
import dataclasses
import hashlib
import json
import secrets
import socket
import subprocess
import time
import uuid

import aiocoap
import requests
from aiocoap import Code

import libcoap
import posts
from checks import check, expect
from cloud import Cloud, derive_key, free_port
from dtls import Session
from engine import running
from operators import add_user, as_user, known_to, listed
from provisioning_lwm2m import Client, Tinydtls
from provisioning_mqtt import Device, derive, hour, sign
from registration import given_id
from tinydtls import need_tinydtls

TENANT, SCOPE, OWNER = "acme", "ff5bbx7a488f", "frank"
# Where devices go that do not go here.
ELSEWHERE = {"mqtt": "shanghai.example:8883", "lwm2m": "coaps://shanghai.example:5684"}
LIFETIME = 300
READING = {"temp": 215}
REPRESENTATION = {"temperature": 21.5}


@dataclasses.dataclass
class Roots:
    certificate: str


class MqttDoor:
    """A cloud as mosquitto's and paho's devices of the other checks want a server."""

    @property
    def port(self):
        return self.mqtt_port

    @property
    def roots(self):
        return Roots(self.cloud.ca)


class Provisioned(MqttDoor):
    """A cloud with both doors open, and what an operator has set up in it."""

    def __init__(self, world):
        self.mqtt_port, self.lwm2m_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
        self.token = secrets.token_hex(32)
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        settings = {
            "provisioning.enabled": "true",
            "provisioning.operators": f'[{{ tenant = "{TENANT}", token_sha256 = "{digest}" }}]',
            "mqtt.listen": f'"127.0.0.1:{self.mqtt_port}"',
            "lwm2m.listen": f'"127.0.0.1:{self.lwm2m_port}"',
        }
        # Everything that is said goes into the log, in which no secret may stand.
        log = {"RUST_LOG": "info,device_side_cloud=debug,mqtt_bootstrap=debug,lwm2m_bootstrap=debug"}
        self.cloud = world.others.enter_context(Cloud(world.cloud.program, settings=settings, environment=log))
        self.world = type(world)(self.cloud)
        self.told = {"the operator's token": self.token}
        add_user(self.world, OWNER)
        self.owner = self._user_id(OWNER)
        self.link = as_user(self.world, OWNER)
        self.product = posts.add_product(self.world, "--template", posts.template_file(self.world, posts.TEMPLATE))["product_key"]
        self.cloud.operate("provisioning", "tenant", TENANT, "Acme")
        here = f"127.0.0.1:{self.cloud.coaps_port}"
        self.here = {"mqtt": here, "lwm2m": f"coaps://{here}"}
        self.set_up("access-points/here", name="This cloud", local=True, endpoints=self.here, applications=[self.product],
                    default_application=self.product)
        self.set_up("access-points/elsewhere", name="Another cloud", endpoints=ELSEWHERE)

    def _user_id(self, name):
        return json.loads(self.cloud.run("user", "export", name))["user"]["id"]

    def manage(self, method, path, **body):
        """A call of the interface for operators: its status and answer."""
        url = f"{self.cloud.url}/v5/iotps/{TENANT}/{path}"
        headers = {"X-Auth-Token": self.token}
        answer = requests.request(method, url, json=body or None, headers=headers, verify=self.cloud.ca, timeout=10)
        return answer.status_code, answer.json() if answer.content else {}

    def set_up(self, path, **body):
        status, answer = self.manage("PUT", path, **body)
        expect(status in (200, 201), f"{path}: {status} {answer}")

    def create(self, path, **body):
        status, answer = self.manage("POST", path, **body)
        expect(status == 201, f"{path}: {status} {answer}")
        return answer

    def name(self, device):
        return f"{self.product},{device}"

    def listed(self):
        rows, _ = listed(self.world, "device", "list", "--owner", OWNER)
        return {row["device"] for row in rows}

    def as_device(self, key, secret=""):
        """A device of the product as the other checks have them."""
        device = dataclasses.replace(self.world.device, product_key=self.product, device_key=key, secret=secret)
        device.di = given_id(device)
        return device

    @contextlib.contextmanager
    def seen_by_the_owner(self):
        """The world through whose link the owner sees the interface."""
        kept, self.world.link = self.world.link, self.link
        try:
            yield self.world
        finally:
            self.world.link = kept


def provisioned(world):
    """The cloud, the same one in every check."""
    if not hasattr(world, "provisioned"):
        world.provisioned = Provisioned(world)
    return world.provisioned


@dataclasses.dataclass
class Group:
    id: str
    secret: bytes

    def password(self, device):
        return derive(device, self.secret)


def group(ours, name, point="here", **more):
    """A group for every device whose id begins with its name."""
    secret = secrets.token_bytes(32).replace(b"\0", b"\1")
    scope = f"{SCOPE[:-1]}{len(name) % 10}{name}"[:32]
    config = json.dumps({"product_key": ours.product, "interval": 60})
    made = ours.create(
        "registration-groups", registration_group_name=name, scope_id=scope, access_point_id=point, owner=ours.owner,
        id_rule={"patterns": [f"{name}-*"]},
        provision_info={"register_group_secret": base64.b64encode(secret).decode(), "init_config": config, **more},
    )
    ours.told[f"the secret of group {name}"] = base64.b64encode(secret).decode()
    found = Group(made["registration_group_id"], secret)
    found.scope, found.config = scope, config
    return found


def of_scope(ours, scope, device, secret):
    timestamp = hour()
    password = sign(timestamp, secret)
    ours.told[f"a password of {device}"] = password
    return Device(ours, f"{device}_0_{scope}_1_{timestamp}", device, password)


def told_over_mqtt(ours, group, device, secret=None):
    """What a device of a group is told."""
    with of_scope(ours, group.scope, device, secret or group.password(device)) as client:
        client.let_in()
        client.subscribe(client.down)
        answer = client.ask()
    if "deviceSecret" in answer:
        ours.told[f"the secret of {device}"] = answer["deviceSecret"]
    return answer


def refused_over_mqtt(ours, group, device, secret):
    with of_scope(ours, group.scope, device, secret) as client:
        return client.refused()


def enroll_for_lwm2m(ours, device, point="here", **more):
    """Enrolls a device with a key for its bootstrap: (identity, key)."""
    key, identity = secrets.token_bytes(16), f"bs-{device}"
    ours.create(
        "devices", device_id=device, access_point_id=point, owner=ours.owner,
        auth_info={"auth_type": "PSK", "secret": key.hex(), "identity": identity}, provision_info=more,
    )
    ours.told[f"the bootstrap key of {device}"] = key.hex()
    return identity, key


@contextlib.contextmanager
def lwm2m_client(ours, identity, key, kind=Client):
    wire = Tinydtls(ours.lwm2m_port, identity, key)
    try:
        yield kind(wire)
    finally:
        wire.close()


def told_over_lwm2m(ours, device, identity, key, kind=Client):
    """The account that a client is given: (URI, identity, key, lifetime)."""
    with lwm2m_client(ours, identity, key, kind) as client:
        expect(client.bootstrap(client.request(device)), f"{client.log}\n{ours.cloud.log.read_text()[-3000:]}")
        expect(client.keeps_its_account(), f"{client.objects}")
        ((_, uri, identity, key, lifetime, _),) = client.accounts()
    ours.told[f"the key of {device}"] = key.hex()
    return uri, text(identity), key, lifetime


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def post_of(device):
    """A reading as a message of CoAP, by aiocoap."""
    message = aiocoap.Message(code=Code.POST, mtype=aiocoap.CON, mid=7, token=b"reading", payload=posts.envelope(READING))
    message.opt.uri_path = posts.topic(device).strip("/").split("/")
    message.opt.content_format = int(posts.JSON)
    return message.encode()


def posts_with_a_key(ours, device, identity, key):
    """OpenSSL comes in with an identity and a key as they are, and posts a reading."""
    with Session(ours.cloud, identity, key) as session:
        session.wait_until_open()
        session.send(post_of(device))
        expect(session.wait(lambda: b"reading" in session.printed, 10), f"no answer: {session.printed[-500:]}")
        at = session.printed.index(b"reading")
        # The code stands two bytes of a message id before the token.
        expect(session.printed[at - 3] == int(Code.CHANGED), f"answered {session.printed[at - 4:at].hex()}")


def is_the_owners(ours, device):
    """The owner sees the reading of a device over the interface, and another user sees nothing of it."""
    with ours.seen_by_the_owner() as world:
        end = time.monotonic() + 10
        while device.di not in known_to(world, world.link):
            expect(time.monotonic() < end, f"the owner does not see {device.device_key}")
            time.sleep(0.1)
        found = posts.representations(world, device)
    expect(found.get("/climate") == REPRESENTATION, f"the reading is {found}")
    rows, _ = listed(ours.world, "device", "list", "--owner", ours.world.user.name)
    expect(ours.name(device.device_key) not in {row["device"] for row in rows}, "it is another user's, too")


@check
def a_fresh_device_bootstraps_over_mqtt_and_posts_for_its_owner(world):
    ours = provisioned(world)
    lamps = group(ours, "lamp", reprovisioning="never")
    for number in range(50):
        fresh = f"lamp-{number}"
        expect(refused_over_mqtt(ours, lamps, fresh, "a wrong secret") == 4, "a wrong password was not refused")
        expect(ours.name(fresh) not in ours.listed(), "a device is known before it was assigned")
        answer = told_over_mqtt(ours, lamps, fresh)
        expect(set(answer) == {"address", "initConfig", "deviceSecret"}, f"told {sorted(answer)}")
        expect(answer["address"] == ours.here["mqtt"], f"told {answer['address']}")
        expect(json.loads(answer["initConfig"])["product_key"] == ours.product, f"told {answer['initConfig']}")
        # libcoap takes keys as C strings.
        if b"\0" not in derive_key(answer["deviceSecret"]):
            break
    expect(ours.name(fresh) in ours.listed(), "the owner does not have the device")
    device = ours.as_device(fresh, answer["deviceSecret"])
    posts.post(ours.world, libcoap.CLIENTS[0], device, READING)
    is_the_owners(ours, device)
    # It asks again with the secret that it was given, and is told the same; what follows from the group's secret opens nothing.
    again = told_over_mqtt(ours, lamps, fresh, answer["deviceSecret"])
    again.setdefault("deviceSecret", answer["deviceSecret"])
    expect(again == answer, "told something else when it asked again")
    expect(refused_over_mqtt(ours, lamps, fresh, lamps.password(fresh)) == 4, "the group's secret took a device over")
    # Nor does it matter what its group says now.
    ours.set_up(f"registration-groups/{lamps.id}", access_point_id="elsewhere")
    again = told_over_mqtt(ours, lamps, fresh, answer["deviceSecret"])
    expect(again["address"] == answer["address"], f"moved to {again['address']}")
    expect(told_over_mqtt(ours, lamps, f"{fresh}-new")["address"] == ELSEWHERE["mqtt"], "a new device was not sent elsewhere")
    posts.post(ours.world, libcoap.CLIENTS[1], device, READING)


@check
def a_registered_device_keeps_its_secret_over_mqtt_and_posts_with_it(world):
    ours = provisioned(world)
    for number in range(50):
        secret = secrets.token_hex(16)
        if b"\0" not in derive_key(secret):
            break
    ours.create("devices", device_id="hall-1", access_point_id="here", owner=ours.owner,
                auth_info={"auth_type": "SECRET", "secret": secret})
    ours.told["the secret of hall-1"] = secret
    timestamp = hour()
    with Device(ours, f"hall-1_0_1_{timestamp}", "hall-1", sign(timestamp, secret)) as client:
        client.let_in()
        client.subscribe(client.down)
        answer = client.ask()
    expect(answer == {"address": ours.here["mqtt"]}, f"told {answer}")
    device = ours.as_device("hall-1", secret)
    posts.post(ours.world, libcoap.CLIENTS[0], device, READING)
    is_the_owners(ours, device)


class Eager(Client):
    """Comes in at its target before it answers to the end of its bootstrap."""

    def answer(self, request):
        if request.opt.uri_path == ("bs",):
            ((_, uri, identity, key, _, _),) = self.accounts()
            Tinydtls(int(uri.rsplit(":", 1)[1]), text(identity), key).close()
        return super().answer(request)


@check
def a_fresh_device_bootstraps_over_lwm2m_and_posts_for_its_owner(world):
    need_tinydtls()
    ours = provisioned(world)
    identity, key = enroll_for_lwm2m(ours, "nb-1", reprovisioning="never")
    expect(ours.name("nb-1") not in ours.listed(), "a device is known before it was assigned")
    with contextlib.suppress(ConnectionError), lwm2m_client(ours, identity, bytes(16)):
        raise AssertionError("a session with a wrong key")
    told = told_over_lwm2m(ours, "nb-1", identity, key, Eager)
    uri, named, secret, lifetime = told
    expect(uri == ours.here["lwm2m"], f"told {uri}")
    expect(named == f"{ours.product},nb-1,2,{lifetime}", f"its identity is {named}")
    expect(secret != key, "it was told the key that it had")
    expect(ours.name("nb-1") in ours.listed(), "the owner does not have the device")
    device = ours.as_device("nb-1")
    posts_with_a_key(ours, device, named, secret)
    is_the_owners(ours, device)
    # The same when it asks again, whatever its entry says now.
    expect(told_over_lwm2m(ours, "nb-1", identity, key) == told, "told something else when it asked again")
    ours.set_up("devices/nb-1", access_point_id="elsewhere")
    expect(told_over_lwm2m(ours, "nb-1", identity, key) == told, "it was moved")
    posts_with_a_key(ours, device, named, secret)


@check
def a_device_that_was_told_where_it_belongs_does_not_ask_again(world):
    """Our device program, which keeps what it was told: in the second run the secret that it asked with is gone."""
    ours = provisioned(world)
    bulbs = group(ours, "bulb", reprovisioning="never")
    identity, key = f"factory,bulb-nb,2,{LIFETIME}", secrets.token_bytes(16)
    ours.create("devices", device_id="bulb-nb", access_point_id="here", owner=ours.owner,
                auth_info={"auth_type": "PSK", "secret": key.hex(), "identity": identity})
    of_mqtt = [f"mqtts://localhost:{ours.mqtt_port}", "--bootstrap-scope", bulbs.scope, "--bootstrap-ca", ours.cloud.ca]
    of_lwm2m = [f"coaps://127.0.0.1:{ours.lwm2m_port}", "--bootstrap-identity", identity]
    for name, secret, how in (("bulb-1", bulbs.password("bulb-1"), of_mqtt), ("bulb-nb", key.hex(), of_lwm2m)):
        kept, file = ours.cloud.path / f"state-{name}", ours.cloud.path / f"secret-{name}"
        command = [world.cloud.program.parent / "device", "--bootstrap", *how, "--bootstrap-secret-file", file]
        command += ["--device-key", name, "--state", kept, "--di", str(uuid.uuid4())]
        file.write_text("0" * len(secret))
        refused = subprocess.run(command, capture_output=True, timeout=30)
        expect(refused.returncode == 1 and not refused.stdout, f"{name} was let in with another secret: {refused}")
        file.write_text(secret)
        for event in ("bootstrapped", "known"):
            with running(command, says='"published"', stdin=subprocess.PIPE) as said:
                lines = [json.loads(line) for line in said().splitlines() if line.startswith("{")]
            seen = [line["event"] for line in lines]
            expect(seen[:2] == [event, "online"] and lines[1]["mode"] == 2, f"{name}: {said}")
            expect(lines[0]["cloud"] == ours.here["mqtt"] and lines[0]["product_key"] == ours.product, f"{name}: {lines[0]}")
            file.unlink(missing_ok=True)
        expect(ours.name(name) in ours.listed(), f"the owner does not have {name}")


@check
def one_cloud_moves_devices_of_both_protocols_when_their_policy_changed(world):
    need_tinydtls()
    ours = provisioned(world)
    ours.create("allocation-strategies/base", access_point_id="elsewhere", base_strategy_info={"keyword": "mover", "priority": 1})
    movers = group(ours, "mover", point=None, allocation_strategy_type="base", reprovisioning="on_trigger")
    identity, key = enroll_for_lwm2m(ours, "mover-nb", None, allocation_strategy_type="base", reprovisioning="on_trigger")
    first = told_over_mqtt(ours, movers, "mover-1")
    expect(first["address"] == ELSEWHERE["mqtt"], f"told {first['address']}")
    expect(told_over_lwm2m(ours, "mover-nb", identity, key)[0] == ELSEWHERE["lwm2m"], "told another address")
    ours.create("allocation-strategies/base", access_point_id="here", base_strategy_info={"keyword": "mover", "priority": 4})
    asked = told_over_mqtt(ours, movers, "mover-1", first["deviceSecret"])
    expect(asked["address"] == ELSEWHERE["mqtt"], "it was moved without a trigger")
    for device in ("mover-1", "mover-nb"):
        status, answer = ours.manage("POST", f"devices/{device}/action", action="triggerBootstrapDevice")
        expect(status == 200, f"{device}: {status} {answer}")
    moved = told_over_mqtt(ours, movers, "mover-1", first["deviceSecret"])
    expect(moved["address"] == ours.here["mqtt"], f"told {moved['address']}")
    secret = moved.get("deviceSecret", first["deviceSecret"])
    device = ours.as_device("mover-1", secret)
    posts_with_a_key(ours, device, device.identity(2), derive_key(secret))
    is_the_owners(ours, device)
    uri, named, secret, _ = told_over_lwm2m(ours, "mover-nb", identity, key)
    expect(uri == ours.here["lwm2m"], f"told {uri}")
    device = ours.as_device("mover-nb")
    posts_with_a_key(ours, device, named, secret)
    is_the_owners(ours, device)


@check
def a_device_that_asks_too_often_is_put_off_over_both_protocols(world):
    need_tinydtls()
    ours = provisioned(world)
    storms = group(ours, "storm", reprovisioning="never")
    calm = [told_over_mqtt(ours, storms, "storm-1")]
    with of_scope(ours, storms.scope, "storm-1", calm[0]["deviceSecret"]) as client:
        client.let_in()
        client.subscribe(client.down)
        while "address" in calm[-1]:
            expect(len(calm) < 20, "it is answered however often it asks")
            calm.append(client.ask())
    expect(len(calm) > 3 and calm[-1]["error_code"] == "503", f"{len(calm)} answers, the last was {sorted(calm[-1])}")
    identity, key = enroll_for_lwm2m(ours, "storm-nb")
    for asked in range(20):
        with lwm2m_client(ours, identity, key) as client:
            if not client.bootstrap(client.request("storm-nb")):
                expect(client.codes == [Code.SERVICE_UNAVAILABLE], f"answered {client.codes}")
                break
    expect(3 < asked < 19, f"put off after {asked} bootstraps")
    # Nobody else is.
    expect(told_over_mqtt(ours, storms, "storm-2")["address"] == ours.here["mqtt"], "another device was put off")


@check
def what_was_assigned_outlives_a_restart_and_no_secret_stands_in_the_clouds_files(world):
    ours = provisioned(world)
    before = ours.listed()
    expect(before and ours.told, "no device was assigned")
    expect(ours.cloud.stop() == 0, "the cloud did not stop in good order")
    ours.cloud.start()
    expect(ours.listed() == before, f"before the restart {before}, and after it {ours.listed()}")
    files = [ours.cloud.log, *(file for file in ours.cloud.data.rglob("*") if file.is_file())]
    written = b"".join(file.read_bytes() for file in files)
    expect(TENANT.encode() in written and OWNER.encode() in written, "what is no secret is not found either")
    for what, secret in ours.told.items():
        forms = {secret.encode()}
        with contextlib.suppress(ValueError):
            forms.add(bytes.fromhex(secret))
        expect(not any(form in written for form in forms), f"{what} stands in a file of the cloud")
