"""A tenant's own function behind Python's HTTPS server says where devices that come over MQTT belong."""

import contextlib
import hashlib
import http.server
import json
import pathlib
import shutil
import socket
import ssl
import tempfile
import threading
import time
import types

import requests

from checks import check, expect
from cloud import Cloud, free_port
from provisioning_mqtt import Authority, Device, hour, sign

TENANT, TOKEN, SECRET = "acme", "a token of acme's operators", "a secret of the device's"


class Function(http.server.ThreadingHTTPServer):
    """What it answers is told by the device's name; what it was asked is kept."""

    daemon_threads = True

    def __init__(self, authority):
        super().__init__(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("localhost", "subjectAltName=DNS:localhost"))
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.asked = []

    def handle_error(self, request, client_address):
        """Whoever does not wait for an answer is gone."""


class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, question))
        status, answer = getattr(self, question["deviceName"].replace("-", "_"))()
        body = answer.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if status == 307:
            self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    @staticmethod
    def decided(body):
        return 200, json.dumps({"statusCode": 200, "body": json.dumps(body)})

    def goes_east(self):
        return self.decided({"status": "allow", "context": {"allocationResult": "east"}})

    def goes_west(self):
        return self.decided({"status": "allow", "context": {"allocationResult": '{"access_point_id":"west"}'}})

    def is_denied(self):
        return self.decided({"status": "deny", "context": {"errorCode": "7", "errorMsg": "not this one"}})

    def goes_outside(self):
        return self.decided({"status": "allow", "context": {"allocationResult": "closed"}})

    def is_moved(self):
        return 307, self.goes_east()[1]

    def is_slow(self):
        time.sleep(8)
        return self.goes_east()


class FunctionCloud(Cloud):
    """A cloud with the MQTT door and one function that may be asked."""

    def __init__(self, program, function, roots):
        self.mqtt_port = free_port(socket.SOCK_STREAM)
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        settings = {
            "provisioning.enabled": "true",
            "provisioning.functions": f'[{{ tenant = "{TENANT}", urn = "urn:where", url = "{function}" }}]',
            "provisioning.operators": f'[{{ tenant = "{TENANT}", token_sha256 = "{digest}" }}]',
            "mqtt.listen": f'"127.0.0.1:{self.mqtt_port}"',
            "notifications.trusted_roots": f'["{roots}"]',
        }
        super().__init__(program, private_receivers=True, settings=settings)

    def manage(self, method, path, body):
        answer = requests.request(
            method, f"{self.url}/v5/iotps/{TENANT}/{path}", json=body, verify=self.ca, headers={"X-Auth-Token": TOKEN}, timeout=30
        )
        expect(answer.status_code in (200, 201), f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def bootstrap(self, name):
        """What a device is told, within four seconds."""
        roots = types.SimpleNamespace(certificate=self.ca)
        timestamp = hour()
        server = types.SimpleNamespace(roots=roots, port=self.mqtt_port)
        with Device(server, f"{name}_0_1_{timestamp}", name, sign(timestamp, SECRET)) as device:
            device.let_in()
            packet = device.subscribe(device.down)
            device.wait(lambda: packet in device.granted, "SUBACK")
            return device.ask()


@contextlib.contextmanager
def furnished(world):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="interop-functions-"))
    authority = Authority(folder, "functions")
    function = Function(authority)
    threading.Thread(target=function.serve_forever, daemon=True).start()
    url = f"https://localhost:{function.server_address[1]}/a-path-that-is-a-secret"
    try:
        with FunctionCloud(world.cloud.program, url, authority.certificate) as cloud:
            cloud.run("provisioning", "tenant", TENANT, "Acme")
            for point in ("east", "west", "closed"):
                endpoints = {"mqtt": f"{point}.example:8883"}
                cloud.manage("PUT", f"access-points/{point}", {"name": point, "endpoints": endpoints, "accepts_new": point != "closed"})
            policy = {"access_point_ids": ["east", "west", "closed"], "func_strategy_info": {"func_urn": "urn:where", "func_name": "Where"}}
            cloud.manage("POST", "allocation-strategies/functions", policy)
            yield cloud, function
    finally:
        function.shutdown()
        shutil.rmtree(folder)


@check
def a_tenants_function_behind_https_says_where_devices_belong(world):
    with furnished(world) as (cloud, function):
        names = ("goes-east", "goes-west", "is-denied", "goes-outside", "is-moved", "is-slow")
        for name in names:
            cloud.manage("POST", "devices", {"device_id": name, "auth_info": {"auth_type": "SECRET", "secret": SECRET}})
        told = {name: cloud.bootstrap(name) for name in names}
        expect(told["goes-east"].get("address") == "east.example:8883", told["goes-east"])
        expect(told["goes-west"].get("address") == "west.example:8883", told["goes-west"])
        expect(told["is-denied"].get("error_code") == "403", told["is-denied"])
        for name in ("goes-outside", "is-moved", "is-slow"):
            expect("address" not in told[name] and told[name].get("error_code"), f"{name}: {told[name]}")
        paths = {path for path, _ in function.asked}
        expect(paths == {"/a-path-that-is-a-secret"}, f"asked were {paths}")
        question = next(question for _, question in function.asked if question["deviceId"] == "goes-east")
        offered = sorted(point["accessPointId"] for point in question["accessPoints"])
        expect(offered == ["east", "west"], f"offered were {offered}")
        expect(question["authInfo"] == {"authType": "SECRET"}, question["authInfo"])
        log = cloud.log.read_text()
        expect(SECRET not in log and "a-path-that-is-a-secret" not in log, "the log holds a secret")
