"""Devices that are moved: from one access point to another of a cloud, and with their registration from one cloud to another.

paho-mqtt is the device: it hears the trigger on its topic for messages and then asks where it belongs, with the secret that it has. What
it is told is all that it then has: OpenSSL's s_client comes in with it over DTLS-PSK where it was sent.
"""

import base64
import hashlib
import json
import secrets
import socket
import time

from checks import check, expect
from cloud import Cloud, derive_key, free_port
from dtls import Session
from provisioning_cloud import ELSEWHERE, Roots
from provisioning_mqtt import Device, derive, hour, sign

TENANT, SCOPE = "acme", "ff5bbx7a488f"
PATIENCE = 20


class Movable:
    """A cloud with the door for MQTT open, two access points, and a group whose devices begin at the other one."""

    def __init__(self, world):
        self.mqtt_port = free_port(socket.SOCK_STREAM)
        self.token = secrets.token_hex(32)
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

    def settings(self):
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        return {
            "provisioning.enabled": "true",
            "provisioning.migration_retry_seconds": "1",
            "provisioning.requests_per_device": "50",
            "provisioning.operators": f'[{{ tenant = "{TENANT}", token_sha256 = "{digest}" }}]',
            "mqtt.listen": f'"127.0.0.1:{self.mqtt_port}"',
        }

    # What paho's devices of the other checks want of a server.
    @property
    def port(self):
        return self.mqtt_port

    @property
    def roots(self):
        return Roots(self.cloud.ca)

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

    def device(self, name, secret=None):
        timestamp = hour()
        password = sign(timestamp, secret or derive(name, self.secret))
        return Device(self, f"{name}_0_{SCOPE}_1_{timestamp}", name, password)

    def begin(self, name):
        """A device that is at the other access point, and its secret."""
        with self.device(name) as device:
            device.let_in()
            device.subscribe(device.down)
            answer = device.ask()
        expect(answer["address"] == ELSEWHERE["mqtt"], f"told {answer['address']}")
        return answer["deviceSecret"]


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
    with ours.device("mover-2", secret) as device:
        device.let_in()
        device.subscribe(device.down)
        expect(told(device)["address"] == ours.here["mqtt"], "told of the old place")
        ours.wait_for("mover-2", "prepared")
        # Both places know it now, with the credentials that it has.
        expect(ours.migration("abort", "mover-2")["cause"] == "operator", "another cause")
        device.subscribe(messages(device))
        triggered(device)
        expect(told(device)["address"] == ELSEWHERE["mqtt"], "told of the new place")
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
