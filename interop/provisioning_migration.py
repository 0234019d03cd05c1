"""Devices that are moved: from one access point to another of a cloud, and with their registration from one cloud to another.

paho-mqtt is the device: it hears the trigger on its topic for messages and then asks where it belongs, with the secret that it has. What
it is told is all that it then has: OpenSSL's s_client comes in with it over DTLS-PSK where it was sent.
"""

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import time

import requests

from checks import check, expect
from cloud import Cloud, configured, derive_key, free_port
from dtls import Session
from provisioning_cloud import ELSEWHERE, MqttDoor
from provisioning_mqtt import Device, derive, hour, sign

TENANT, SCOPE, SETTLED = "acme", "ff5bbx7a488f", "ff5bbx7a4880"
PATIENCE = 20


class Movable(MqttDoor):
    """A cloud with the door for MQTT open, two access points, and a group whose devices begin at the other one."""

    def __init__(self, world):
        self.mqtt_port = free_port(socket.SOCK_STREAM)
        self.token = secrets.token_hex(32)
        self.told = []
        self.cloud = world.others.enter_context(Cloud(world.cloud.program, settings=self.settings()))
        self.product = self.cloud.admin("product", "add", f"{TENANT}-lamps")["product_key"]
        self.cloud.operate("provisioning", "tenant", TENANT, "Acme")
        here = f"127.0.0.1:{self.cloud.coaps_port}"
        self.here = {"mqtt": here, "lwm2m": f"coaps://{here}"}
        self.operate("change", "access-points/here", name="This cloud", local=True, endpoints=self.here,
                     applications=[self.product], default_application=self.product)
        self.operate("change", "access-points/elsewhere", name="Another cloud", endpoints=ELSEWHERE)
        self.secret = secrets.token_bytes(32)
        self.operate(
            "create", "registration-groups", registration_group_name="movers", scope_id=SCOPE, access_point_id="elsewhere",
            reprovisioning="never", id_rule={"patterns": ["mover-*"]},
            provision_info={"register_group_secret": base64.b64encode(self.secret).decode()},
        )
        self.operate(
            "create", "registration-groups", registration_group_name="settlers", scope_id=SETTLED, access_point_id="here",
            reprovisioning="never", id_rule={"patterns": ["settler-*"]},
            provision_info={"register_group_secret": base64.b64encode(self.secret).decode()},
        )

    def settings(self):
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        return {
            "provisioning.enabled": "true",
            "provisioning.migration_retry_seconds": "1",
            "provisioning.requests_per_device": "50",
            "provisioning.operators": f'[{{ tenant = "{TENANT}", token_sha256 = "{digest}" }}]',
            "mqtt.listen": f'"127.0.0.1:{self.mqtt_port}"',
        }

    def operate(self, command, path, **body):
        """A command of an operator, and the JSON that it printed."""
        body = [json.dumps(body)] if body else []
        printed = self.cloud.run("provisioning", command, TENANT, path, *body)
        return json.loads(printed) if printed.strip() else None

    def migration(self, command, device):
        return json.loads(self.cloud.run("provisioning", "migration", command, TENANT, device))

    def stage(self, device):
        return self.migration("show", device)["stage"]

    def wait_for(self, device, *stages):
        end = time.monotonic() + PATIENCE
        while (stage := self.stage(device)) not in stages:
            expect(time.monotonic() < end, f"{device} is {stage}, not {stages}:\n{self.cloud.log.read_text()[-3000:]}")
            time.sleep(0.1)
        return stage

    def device(self, name, secret=None, scope=SCOPE):
        timestamp = hour()
        password = sign(timestamp, secret or derive(name, self.secret))
        return Device(self, f"{name}_0_{scope}_1_{timestamp}", name, password)

    def begin(self, name):
        """A device that is at the other access point, and its secret."""
        with self.device(name) as device:
            device.let_in()
            device.subscribe(device.down)
            answer = device.ask()
        expect(answer["address"] == ELSEWHERE["mqtt"], f"told {answer['address']}")
        return answer["deviceSecret"]

    def settle(self, name):
        """A device that is at this cloud, and its secret."""
        with self.device(name, scope=SETTLED) as device:
            device.let_in()
            device.subscribe(device.down)
            answer = device.ask()
        expect(answer["address"] == self.here["mqtt"], f"told {answer['address']}")
        expect(comes_in(self, name, answer["deviceSecret"]), f"{name} is not let in")
        self.told.append(answer["deviceSecret"].encode())
        return answer["deviceSecret"]

    def join(self, name, other, shows, sees, key):
        """Makes another cloud known to this one, which does not reach it if that is None, and is started again."""
        for file, text in (("token", shows), ("key", key)):
            (self.cloud.path / f"{name}.{file}").write_text(text + "\n")
        digest = hashlib.sha256(sees.encode()).hexdigest()
        url = f'url = "{other.cloud.url}", ' if other else ""
        instance = (
            f'[{{ tenant = "{TENANT}", name = "{name}", {url}token_file = "{name}.token", '
            f'token_sha256 = "{digest}", key_file = "{name}.key", access_point = "here" }}]'
        )
        settings = {"provisioning.instances": instance}
        if other:
            settings["notifications.trusted_roots"] = f'["{other.cloud.ca}"]'
            settings["notifications.allow_private_addresses"] = "true"
        self.cloud.config.write_text(configured(self.cloud.config.read_text(), settings))
        expect(self.cloud.stop() == 0, "the cloud did not stop in good order")
        self.cloud.start()


def movable(world):
    """The cloud, the same one in every check."""
    if not hasattr(world, "movable"):
        world.movable = Movable(world)
    return world.movable


def messages(device):
    return f"$oc/devices/{device.id}/sys/messages/down"


def triggered(device):
    """The device hears that it is to bootstrap again, in the words that the vendor's client waits for."""
    device.wait(lambda: any(topic == messages(device) for topic, _ in device.messages), "a trigger")
    topic, message = next(one for one in device.messages if one[0] == messages(device))
    expect(message["content"] == "BootstrapRequestTrigger" and message["object_device_id"] == device.id, message)


def told(device):
    """What a device is told that asks, while triggers may come between."""
    before = len(device.messages)
    device.client.publish(device.up, "", qos=1)
    device.wait(lambda: any(topic == device.down for topic, _ in device.messages[before:]), "an answer")
    return next(message for topic, message in device.messages[before:] if topic == device.down)


def comes_in(ours, device, secret):
    """The device comes in at the cloud over DTLS-PSK with what it has; whether it is let in."""
    identity = f"{ours.product},{device},2,60"
    with Session(ours.cloud, identity, derive_key(secret)) as session:
        try:
            session.wait_until_open()
        except AssertionError:
            return False
        return True


@check
def a_device_that_knows_provisioning_hears_the_trigger_and_is_moved(world):
    ours = movable(world)
    secret = ours.begin("mover-1")
    with ours.device("mover-1", secret) as device:
        device.let_in()
        packet = device.subscribe(device.down, messages(device), "$oc/devices/mover-2/sys/messages/down")
        device.wait(lambda: packet in device.granted, "SUBACK")
        expect(device.granted[packet] == [0, 0, 0x80], f"granted {device.granted}")
        ours.cloud.run("provisioning", "migrate", TENANT, "mover-1", "--to", "here")
        triggered(device)
        answer = told(device)
    expect(answer["address"] == ours.here["mqtt"], f"told {answer['address']}")
    # It has not been seen there: the old place has not forgotten it.
    expect(ours.stage("mover-1") == "prepared", f"it is {ours.stage('mover-1')}")
    secret = answer.get("deviceSecret", secret)
    expect(comes_in(ours, "mover-1", secret), "it is not let in where it was sent")
    ours.wait_for("mover-1", "finished")
    shown = ours.operate("show", "devices/mover-1")
    expect("previous" not in shown or not shown["previous"], f"the old place still knows it: {shown}")


@check
def a_migration_that_is_aborted_leaves_the_device_where_it_was(world):
    ours = movable(world)
    secret = ours.begin("mover-2")
    ours.cloud.run("provisioning", "migrate", TENANT, "mover-2", "--to", "here")
    # Until then it is told of the place that it is to leave.
    ours.wait_for("mover-2", "begun", "prepared")
    with ours.device("mover-2", secret) as device:
        device.let_in()
        device.subscribe(device.down)
        expect(told(device)["address"] == ours.here["mqtt"], "told of the old place")
        ours.wait_for("mover-2", "prepared")
        # Both places know it now, with the credentials that it has.
        expect(ours.migration("abort", "mover-2")["cause"] == "operator", "another cause")
        device.subscribe(messages(device))
        triggered(device)
        # The trigger may be one from before the abort; then another follows.
        answers = [told(device)["address"]]
        while answers[-1] != ELSEWHERE["mqtt"]:
            expect(len(answers) < 5, "told of the new place again and again")
            time.sleep(1)
            answers.append(told(device)["address"])
    expect(ours.stage("mover-2") == "aborting", "it was not seen where it was")
    ours.operate("create", "migrations/mover-2/seen", by="the other cloud")
    ours.wait_for("mover-2", "aborted")
    end = time.monotonic() + PATIENCE
    while comes_in(ours, "mover-2", secret):
        expect(time.monotonic() < end, "the new place lets it in")


@check
def a_migration_outlives_the_death_of_the_cloud_at_every_stage(world):
    ours = movable(world)
    secret = ours.begin("mover-3")
    ours.cloud.run("provisioning", "migrate", TENANT, "mover-3", "--to", "here")
    ours.wait_for("mover-3", "begun")
    die(ours)
    expect(ours.stage("mover-3") == "begun", ours.stage("mover-3"))
    with ours.device("mover-3", secret) as device:
        device.let_in()
        device.subscribe(device.down, messages(device))
        triggered(device)
        expect(told(device)["address"] == ours.here["mqtt"], "told of the old place")
    ours.wait_for("mover-3", "prepared")
    die(ours)
    expect(comes_in(ours, "mover-3", secret), "it is not let in where it was sent")
    ours.wait_for("mover-3", "finished")
    die(ours)
    expect(ours.stage("mover-3") == "finished", ours.stage("mover-3"))


def die(ours):
    ours.cloud.process.kill()
    ours.cloud.process.wait(PATIENCE)
    ours.cloud.start()


def two_clouds(world):
    """Two clouds that know each other, the same ones in every check, and what they show each other."""
    if not hasattr(world, "two_clouds"):
        old, new = movable(world), Movable(world)
        key, there, back = (secrets.token_hex(32) for _ in range(3))
        old.join("production", new, shows=there, sees=back, key=key)
        new.join("test", old, shows=back, sees=there, key=key)
        world.two_clouds = old, new, (key, there, back)
    return world.two_clouds


def transfer(old, device):
    old.cloud.run("provisioning", "transfer", TENANT, device, "--to", "production")


@check
def a_device_that_knows_nothing_of_provisioning_is_transferred_to_another_cloud(world):
    old, new, _ = two_clouds(world)
    secret = old.settle("settler-1")
    expect(not comes_in(new, "settler-1", secret), "the other cloud lets a stranger in")
    transfer(old, "settler-1")
    old.wait_for("settler-1", "prepared")
    # Both know it, with the secret that it has: its address may be turned over.
    expect(comes_in(old, "settler-1", secret), "the old cloud has forgotten it before it was seen at the new one")
    expect(old.stage("settler-1") == "prepared", "it is seen where it was not")
    expect(comes_in(new, "settler-1", secret), "the new cloud does not let it in")
    old.wait_for("settler-1", "finished")
    end = time.monotonic() + PATIENCE
    while comes_in(old, "settler-1", secret):
        expect(time.monotonic() < end, "the old cloud lets it in")
    expect(comes_in(new, "settler-1", secret), "the new cloud does not let it in any more")


@check
def a_transfer_that_is_aborted_is_taken_back_and_one_that_is_over_is_not(world):
    old, new, _ = two_clouds(world)
    secret = old.settle("settler-2")
    transfer(old, "settler-2")
    old.wait_for("settler-2", "prepared")
    old.migration("abort", "settler-2")
    old.wait_for("settler-2", "aborted")
    expect(comes_in(old, "settler-2", secret), "the old cloud does not let it in")
    end = time.monotonic() + PATIENCE
    while comes_in(new, "settler-2", secret):
        expect(time.monotonic() < end, "the new cloud lets it in")
    # Another transfer of the same device, which is seen there before anybody aborts it.
    transfer(old, "settler-2")
    old.wait_for("settler-2", "prepared")
    expect(comes_in(new, "settler-2", secret), "the new cloud does not let it in")
    with contextlib.suppress(RuntimeError):
        old.migration("abort", "settler-2")
    old.wait_for("settler-2", "finished")
    expect(comes_in(new, "settler-2", secret), "a device that was seen was taken back")


@check
def a_transfer_outlives_the_death_of_either_cloud(world):
    old, new, _ = two_clouds(world)
    secret = old.settle("settler-3")
    expect(new.cloud.stop() == 0, "the new cloud did not stop in good order")
    transfer(old, "settler-3")
    old.wait_for("settler-3", "begun")
    die(old)
    expect(comes_in(old, "settler-3", secret), "the old cloud does not let it in")
    new.cloud.start()
    old.wait_for("settler-3", "prepared")
    die(new)
    die(old)
    expect(comes_in(new, "settler-3", secret), "the new cloud does not let it in")
    old.wait_for("settler-3", "finished")


@check
def a_cloud_takes_transfers_of_those_that_it_knows_and_no_secret_of_theirs_is_written(world):
    old, new, shared = two_clouds(world)
    url = f"{new.cloud.url}/provisioning/transfers/{'0' * 32}/settler-9"
    key, there, back = shared

    def ask(method, token, path=url, body=b""):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(method, path, data=body, headers=headers, verify=new.cloud.ca, timeout=10)

    for token in (None, back, "0" * 64):
        for method in ("GET", "PUT", "DELETE"):
            expect(ask(method, token).status_code == 401, f"{method} was let in")
    answer = ask("GET", there)
    expect((answer.status_code, answer.json()) == (200, {"news": "none"}), answer.text)
    expect(ask("PUT", there, body=b"no registration").status_code == 400, "took what is none")
    expect(ask("PATCH", there).status_code == 405, "another method")
    expect(ask("GET", there, path=url + "/more").status_code == 404, "another path")
    answer = ask("DELETE", there)
    expect((answer.status_code, answer.json()) == (200, {"news": "withdrawn"}), answer.text)
    for ours in (old, new):
        files = [ours.cloud.log, *(file for file in ours.cloud.data.rglob("*") if file.is_file())]
        written = b"".join(file.read_bytes() for file in files)
        expect(b"settler" in written, "what is no secret is not found either")
        expect(old.told, "no device was settled")
        for secret in [*old.told, *(secret.encode() for secret in shared), *(bytes.fromhex(secret) for secret in shared)]:
            expect(secret not in written, "a secret is written")
