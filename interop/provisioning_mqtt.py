"""Devices that bootstrap over MQTT: paho-mqtt and Debian's mosquitto clients against the server of examples/mqtt.

Passwords come from Python's hmac, certificates from openssl. The vendor's own client is in no registry; what it was seen to send, in
which order and without waiting for what, is sent here by paho.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import paho.mqtt.client as mqtt

from checks import Skipped, check, expect
from cloud import free_port

GROUP_SECRET = b"0123456789abcdef0123456789abcdef"
# Captured from the vendor's client with the secret above.
CAPTURED = ("5f052ac562369102d42b0fb6", "2026112122", "b52cd2fe53ef6483341c351d52547d123dc7c3725aad2423ee6b40ece8c109c2")
SCOPE = "ff5bbx7a488f"
CERTIFIED_SCOPE = "aa5bbx7a4880"
PATIENCE = 8
OF_MQTT_5 = {0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5}

TABLE = """
[access_points]
beijing = "127.0.0.1:18883"
shanghai = "shanghai.example:8883"

[[policies]]
keyword = "lamp"
access_point = "{named}"

[[policies]]
keyword = "beijing"
in_payload = true
access_point = "beijing"

[devices.pk_lamp_0]
secret = "mysecret"
init_config = '{{"init":23}}'

[devices.pk_other]
secret = "mysecret"

[devices.pk_lamp_off]
secret = "mysecret"
enabled = false

[devices.pk_lamp_cert]
fingerprint = "{fingerprint}"

[groups.{scope}]
name = "lamps-"
secret = "{group_secret}"
device_secret = "one for the target"

[groups.{certified_scope}]
name = "lamps-"
authority = "devices.pem"
"""


def hour(offset=0):
    return time.strftime("%Y%m%d%H", time.gmtime(time.time() + offset * 3600))


def sign(timestamp, secret):
    return hmac.new(timestamp.encode(), secret.encode(), hashlib.sha256).hexdigest()


def derive(device, group_secret=GROUP_SECRET):
    return hmac.new(device.encode(), group_secret, hashlib.sha256).hexdigest()


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """A certificate authority of openssl in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate = folder / f"{name}.pem"
        self.key = folder / f"{name}.key.pem"
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate,
        )

    def issue(self, name, extension):
        """A certificate for a common name, and its key."""
        file = f"{self.name}-{name}"
        key, request, certificate = (self.folder / f"{file}.{end}" for end in ("key.pem", "csr", "pem"))
        extensions = self.folder / f"{file}.ext"
        extensions.write_text(extension + "\n")
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", key, "-out", request,
        )
        openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-days", "2",
            "-extfile", extensions, "-out", certificate,
        )
        return certificate, key


class Server:
    """The server of examples/mqtt with the table above."""

    def __init__(self, program):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="interop-mqtt-"))
        self.port = free_port(socket.SOCK_STREAM)
        self.roots = Authority(self.folder, "server")
        self.devices = Authority(self.folder, "devices")
        self.strangers = Authority(self.folder, "strangers")
        certificate, key = self.roots.issue("localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.pinned = self.strangers.issue("pk_lamp_cert", "extendedKeyUsage=clientAuth")
        self.table = self.folder / "table.toml"
        self.place("shanghai")
        self.log = self.folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [program, f"127.0.0.1:{self.port}", certificate, key, self.table], stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + PATIENCE
        while "devices may come" not in self.log.read_text():
            expect(self.process.poll() is None and time.monotonic() < end, self.log.read_text())
            time.sleep(0.05)

    def place(self, named):
        """Writes the table; devices with "lamp" in their name go to `named`."""
        der = subprocess.run(
            ["openssl", "x509", "-in", self.pinned[0], "-outform", "DER"], check=True, capture_output=True
        ).stdout
        self.table.write_text(
            TABLE.format(
                named=named,
                scope=SCOPE,
                certified_scope=CERTIFIED_SCOPE,
                group_secret=base64.b64encode(GROUP_SECRET).decode(),
                fingerprint=hashlib.sha256(der).hexdigest(),
            )
        )

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return -1
        finally:
            shutil.rmtree(self.folder)


class Device:
    """A device of paho-mqtt. What happens to it is in its queues."""

    def __init__(self, server, client_id, username, password=None, certificate=None, protocol=mqtt.MQTTv311):
        self.id = username
        self.up = f"$oc/devices/{username}/sys/bootstrap/up"
        self.down = f"$oc/devices/{username}/sys/bootstrap/down"
        self.events = f"$oc/devices/{username}/sys/events/up"
        self.told = threading.Condition()
        self.codes, self.messages, self.granted, self.acknowledged, self.ended = [], [], {}, [], False
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False)
        self.client.username_pw_set(username, password)
        chain, key = certificate or (None, None)
        self.client.tls_set(str(server.roots.certificate), certfile=chain and str(chain), keyfile=key and str(key))
        self.client.on_connect = lambda *a: self._note(lambda: self.codes.append(a[3].value))
        self.client.on_message = lambda c, u, m: self._note(lambda: self.messages.append((m.topic, json.loads(m.payload))))
        self.client.on_subscribe = lambda *a: self._note(lambda: self.granted.update({a[2]: [c.value for c in a[3]]}))
        self.client.on_publish = lambda *a: self._note(lambda: self.acknowledged.append(a[2]))
        self.client.on_disconnect = lambda *a: self._note(lambda: setattr(self, "ended", True))
        self.client.connect("localhost", server.port, keepalive=30)
        self.client.loop_start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def _note(self, act):
        with self.told:
            act()
            self.told.notify_all()

    def wait(self, condition, what):
        with self.told:
            expect(self.told.wait_for(condition, PATIENCE), f"{self.id}: {what} did not happen")

    def let_in(self):
        self.wait(lambda: self.codes, "CONNACK")
        expect(self.codes == [0], f"{self.id} was refused with {self.codes}")
        return self

    def refused(self):
        """The code with which it was refused, after which the server closed the connection."""
        self.wait(lambda: self.codes and self.ended, "CONNACK and the end")
        self.client.loop_stop()
        # paho gives the codes of MQTT 3.1.1 the numbers of MQTT 5.
        return OF_MQTT_5.get(self.codes[0], self.codes[0])

    def subscribe(self, *filters):
        _, packet = self.client.subscribe([(one, 0) for one in filters])
        return packet

    def ask(self, payload=""):
        """What the device is told, and how long it took."""
        begin, before = time.monotonic(), len(self.messages)
        self.client.publish(self.up, payload, qos=1)
        self.wait(lambda: len(self.messages) > before, "an answer")
        topic, answer = self.messages[before]
        expect(topic == self.down, topic)
        expect(time.monotonic() - begin < 4, "the answer took too long")
        return answer


def registered(server, device, secret="mysecret", kind=1, timestamp=None):
    timestamp = timestamp or hour()
    return Device(server, f"{device}_0_{kind}_{timestamp}", device, sign(timestamp, secret))


def of_group(server, device, group_secret=GROUP_SECRET):
    timestamp = hour()
    return Device(server, f"{device}_0_{SCOPE}_1_{timestamp}", device, sign(timestamp, derive(device, group_secret)))


def server(world):
    """The server, the same one in every check."""
    if not hasattr(world, "mqtt_bootstrap"):
        program = world.cloud.program.parent / "mqtt-bootstrap"
        world.mqtt_bootstrap = Server(program)
        world.others.enter_context(contextlib.closing(world.mqtt_bootstrap))
    return world.mqtt_bootstrap


@check
def the_password_that_was_captured_is_what_python_computes(world):
    device, timestamp, password = CAPTURED
    expect(sign(timestamp, derive(device)) == password, "another password")


@check
def a_registered_device_is_told_its_address_over_mqtt(world):
    with registered(server(world), "pk_lamp_0") as device:
        device.let_in()
        packet = device.subscribe(device.down)
        device.wait(lambda: packet in device.granted, "SUBACK")
        expect(device.granted[packet] == [0], f"granted {device.granted}")
        answer = device.ask()
        expect(answer == {"address": "shanghai.example:8883", "initConfig": '{"init":23}'}, answer)
        expect(len(device.acknowledged) == 1, f"{device.acknowledged} were acknowledged")


@check
def the_vendors_sequence_is_answered_without_a_pause(world):
    # CONNECT; PUBLISH QoS 1 to events/up; SUBSCRIBE QoS 0; PUBLISH QoS 1: nothing of it waits for what comes before.
    with registered(server(world), "pk_lamp_0", kind=0, timestamp="2019122614") as device:
        device.let_in()
        event = {"object_device_id": device.id, "services": [{"service_id": "$log", "event_type": "log_report"}]}
        device.client.publish(device.events, json.dumps(event), qos=1)
        device.subscribe(device.down)
        answer = device.ask()
        expect(answer["address"] == "shanghai.example:8883", answer)
        device.wait(lambda: len(device.acknowledged) == 2, "a PUBACK for each")
        expect(not device.ended and len(device.messages) == 1, device.messages)


@check
def an_answer_waits_for_a_device_that_subscribes_late(world):
    with registered(server(world), "pk_lamp_0") as device:
        device.let_in()
        device.client.publish(device.up, "", qos=1)
        device.wait(lambda: device.acknowledged, "PUBACK")
        time.sleep(0.3)
        expect(not device.messages, "told before it listens")
        device.subscribe(device.down)
        device.wait(lambda: device.messages, "an answer")
        time.sleep(0.3)
        expect(len(device.messages) == 1, f"told {len(device.messages)} times")


@check
def a_group_device_with_a_derived_secret_is_told_its_address_and_a_secret(world):
    with of_group(server(world), "unheard_0_of") as device:
        device.let_in()
        device.subscribe(device.down)
        answer = device.ask()
        # "lamp" is in the group's name, which stands before the device's.
        expect(answer == {"address": "shanghai.example:8883", "deviceSecret": "one for the target"}, answer)


@check
def certificates_let_devices_in_over_mqtt(world):
    bootstrap = server(world)
    stranger = bootstrap.strangers.issue("pk_new", "extendedKeyUsage=clientAuth")
    member = bootstrap.devices.issue("pk_new", "extendedKeyUsage=clientAuth")
    pinned = f"pk_lamp_cert_0_0_{hour()}"
    with Device(bootstrap, pinned, "pk_lamp_cert", certificate=bootstrap.pinned) as device:
        device.let_in()
        device.subscribe(device.down)
        answer = device.ask()
        expect(answer == {"address": "shanghai.example:8883"}, answer)
    with Device(bootstrap, f"pk_new_0_{CERTIFIED_SCOPE}", "pk_new", certificate=member) as device:
        device.let_in()
        device.subscribe(device.down)
        expect("address" in device.ask(), "a device of the group has no address")
    refusals = [
        Device(bootstrap, pinned, "pk_lamp_cert", certificate=stranger),
        Device(bootstrap, pinned, "pk_lamp_cert"),
        Device(bootstrap, f"pk_new_0_{CERTIFIED_SCOPE}", "pk_new", certificate=stranger),
        # A certificate of the group for another device.
        Device(bootstrap, f"pk_two_0_{CERTIFIED_SCOPE}", "pk_two", certificate=member),
    ]
    codes = [one.refused() for one in refusals]
    expect(codes == [4] * 4, f"refused with {codes}")


@check
def whoever_is_not_let_in_over_mqtt_sees_the_same(world):
    bootstrap = server(world)

    def seen(device):
        begin = time.monotonic()
        code = device.refused()
        return code, time.monotonic() - begin

    outcomes = {}
    devices = {
        "wrong secret": registered(bootstrap, "pk_lamp_0", secret="another"),
        "unknown": registered(bootstrap, "pk_lamp_9"),
        "disabled": registered(bootstrap, "pk_lamp_off"),
        "disabled in a group": of_group(bootstrap, "pk_lamp_off"),
        "two hours ago": registered(bootstrap, "pk_lamp_0", timestamp=hour(-2)),
        "another group's secret": of_group(bootstrap, "unheard", group_secret=b"x" * 32),
    }
    # They wait at the same time.
    threads = [
        threading.Thread(target=lambda name=name, one=one: outcomes.update({name: seen(one)}))
        for name, one in devices.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    expect(len(outcomes) == len(devices), f"only {outcomes} ended")
    expect({code for code, _ in outcomes.values()} == {4}, f"told apart: {outcomes}")
    times = [took for _, took in outcomes.values()]
    expect(max(times) - min(times) < 0.5, f"told apart by time: {outcomes}")


@check
def client_ids_and_versions_that_are_none_are_refused_by_code(world):
    bootstrap, timestamp = server(world), hour()
    password = sign(timestamp, "mysecret")
    cases = {
        "another's client id": (Device(bootstrap, f"other_0_1_{timestamp}", "pk_lamp_0", password), 2),
        "a node": (Device(bootstrap, f"pk_lamp_0_2_1_{timestamp}", "pk_lamp_0", password), 2),
        "half a time": (Device(bootstrap, "pk_lamp_0_0_1_20191226", "pk_lamp_0", password), 2),
        "MQTT 3.1": (Device(bootstrap, f"pk_lamp_0_0_1_{timestamp}", "pk_lamp_0", password, protocol=mqtt.MQTTv31), 1),
    }
    for name, (device, code) in cases.items():
        given = device.refused()
        expect(given == code, f"{name}: {given}")


@check
def a_device_has_no_other_topics_over_mqtt(world):
    with registered(server(world), "pk_lamp_0") as device:
        device.let_in()
        filters = ["#", "$oc/devices/pk_other/sys/bootstrap/down", device.up, device.down]
        packet = device.subscribe(*filters)
        device.wait(lambda: packet in device.granted, "SUBACK")
        expect(device.granted[packet] == [0x80, 0x80, 0x80, 0], f"granted {device.granted[packet]}")
        device.client.publish("$oc/devices/pk_other/sys/bootstrap/up", "", qos=0)
        device.wait(lambda: device.ended, "the end of the connection")


@check
def a_keyword_in_the_request_chooses_the_address(world):
    with registered(server(world), "pk_other") as device:
        device.let_in()
        device.subscribe(device.down)
        for payload in ('{"baseStrategyKeyword":"beijing"}', '{\n\t"baseStrategyKeyword":\t"beijing"\n}'):
            answer = device.ask(payload)
            expect(answer == {"address": "127.0.0.1:18883"}, answer)
        for payload in ("", "{}", '{"baseStrategyKeyword":"lhasa"}', "no JSON", b"\xff\xfe"):
            answer = device.ask(payload)
            expect(answer["error_code"] == "IoTDP.100414" and answer["error_msg"], answer)
            expect("address" not in answer, answer)


@check
def a_device_that_bootstraps_again_follows_the_policy_of_now(world):
    bootstrap = server(world)
    try:
        with registered(bootstrap, "pk_lamp_0") as device:
            device.let_in()
            device.subscribe(device.down)
            expect(device.ask()["address"] == "shanghai.example:8883", "the first address")
            bootstrap.place("beijing")
        # As after a trigger: the same credentials, another connection.
        with registered(bootstrap, "pk_lamp_0") as device:
            device.let_in()
            device.subscribe(device.down)
            expect(device.ask()["address"] == "127.0.0.1:18883", "the address did not change")
    finally:
        bootstrap.place("shanghai")


@check
def mosquittos_clients_bootstrap(world):
    for program in ("mosquitto_rr", "mosquitto_pub"):
        if not shutil.which(program):
            raise Skipped(f"{program} (Debian's mosquitto-clients)")
    bootstrap, timestamp = server(world), hour()
    arguments = (
        "-h", "localhost", "-p", str(bootstrap.port), "--cafile", str(bootstrap.roots.certificate), "-V", "mqttv311",
        "-i", f"pk_lamp_0_0_1_{timestamp}", "-u", "pk_lamp_0",
    )
    prefix = "$oc/devices/pk_lamp_0/sys/bootstrap/"
    done = subprocess.run(
        ["mosquitto_rr", *arguments, "-P", sign(timestamp, "mysecret"), "-t", prefix + "up", "-e", prefix + "down",
         "-q", "1", "-n", "-W", "5"],
        capture_output=True, text=True, timeout=PATIENCE,
    )
    expect(done.returncode == 0, done.stderr)
    expect(json.loads(done.stdout)["address"] == "shanghai.example:8883", done.stdout)
    done = subprocess.run(
        ["mosquitto_pub", *arguments, "-P", "0" * 64, "-t", prefix + "up", "-n"],
        capture_output=True, text=True, timeout=PATIENCE,
    )
    expect(done.returncode in (4, 5), f"{done.returncode}: {done.stderr}")
    expect("bad user name or password" in done.stderr.lower(), done.stderr)


@check
def the_bootstrap_server_stops_in_good_order_and_its_log_has_no_secret(world):
    bootstrap = server(world)
    with registered(bootstrap, "pk_lamp_0") as device:
        device.let_in()
        bootstrap.process.send_signal(signal.SIGTERM)
        device.wait(lambda: device.ended, "the end of the connection")
    expect(bootstrap.process.wait(PATIENCE) == 0, "the server ended with an error")
    log = bootstrap.log.read_text()
    for secret in ("mysecret", sign(hour(), "mysecret"), GROUP_SECRET.decode(), "one for the target"):
        expect(secret not in log, "a secret is in the log")
    expect("assigned" in log, log)
