"""schemathesis asks everything that a description of the interface allows, and much that it does not, of the running cloud."""

import collections
import json
import os
import pathlib
import subprocess
import sys
import uuid

import monitoring
from checks import check, expect
from cloud import PATIENCE

OCF = pathlib.Path(__file__).parent / "ocf.yaml"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
]
# schemathesis takes every status from 500 for a server's error. These say something about the device or the moment, and a
# description that has them must declare them.
GATEWAY = [502, 503, 504]
# Every operation of the standard: the method, and the path below /api/v1.
DEVICE, RESOURCE = "/devices/{deviceId}", "/devices/{deviceId}/{resourceLinkHref}"
OPERATIONS = [
    ("GET", "/devices"),
    ("GET", DEVICE),
    ("GET", RESOURCE),
    ("POST", RESOURCE),
    *(("POST", f"{level}/subscriptions") for level in ("/devices", DEVICE, RESOURCE)),
    *(("DELETE", f"{level}/subscriptions/{{subscriptionId}}") for level in ("/devices", DEVICE, RESOURCE)),
]
SECONDS = 300 if os.environ.get("LONG") else 25


class Thermostat:
    """A device that is online and answers, so that reads and updates get further than "offline". A context manager."""

    def __init__(self, world):
        self.device = world.add_device()
        secret = world.cloud.path / "thermostat.secret"
        secret.write_text(self.device.product_secret)
        self.command = [
            world.cloud.program.with_name("device"),
            "--cloud", f"127.0.0.1:{world.cloud.coaps_port}",
            "--product-key", self.device.product_key,
            "--device-key", self.device.device_key,
            "--product-secret-file", secret,
            "--state", world.cloud.path / "thermostat",
            "--di", self.device.di,
        ]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.process.stdout:
            if json.loads(line)["event"] == "published":
                return self
        raise AssertionError("the thermostat never published its links")

    def __exit__(self, *_):
        self.process.communicate("quit\n", timeout=PATIENCE)


def succeeded(world):
    """How many requests of each operation the cloud has answered with success."""
    _, samples = monitoring.figures(world.cloud)
    counts = collections.Counter()
    for labels, value in samples.get("device_cloud_requests_total", []):
        if labels["status"].startswith("2"):
            counts[labels["method"], labels["route"].removeprefix("/api/v1")] += int(value)
    return counts


def settings(world, di):
    """schemathesis' configuration: a token, and ids that exist among those that it makes up."""
    values = {
        "deviceId": [di, *world.published],
        "resourceLinkHref": ["thermostat/temperature", "light/1", "oic/d"],
    }
    lines = ["[headers]", f'Authorization = "Bearer {world.link.token["access_token"]}"', "[parameters]"]
    lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = 0.7 }}' for name in values]
    for name, known in values.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(known)}"]
    # What it would infer leads from one level of subscriptions to another.
    lines += ["[phases.stateful.inference]", "algorithms = []"]
    lines += ["[checks.not_a_server_error]", f'expected-statuses = {json.dumps(["2xx", "3xx", "4xx", *GATEWAY])}']
    return "\n".join(lines) + "\n"


def ask_everything(world, description, *options):
    """A run of schemathesis over a description; it must find nothing."""
    with Thermostat(world) as thermostat:
        before = succeeded(world)
        config = world.cloud.path / f"schemathesis-{uuid.uuid4()}.toml"
        config.write_text(settings(world, thermostat.device.di))
        done = subprocess.run(
            [
                pathlib.Path(sys.executable).with_name("st"), "--config-file", config, "run", description,
                "--checks", ",".join(CHECKS),
                "--tls-verify", world.cloud.ca,
                "--max-time", str(SECONDS),
                "--seed", "1",
                "--generation-database", "none",
                "--no-color",
                *options,
            ],
            cwd=world.cloud.path,
            capture_output=True,
            text=True,
            timeout=SECONDS + 120,
        )
    said = done.stdout + done.stderr
    expect(done.returncode == 0, f"schemathesis ended with {done.returncode}:\n{said[-20000:]}")
    # A run in which an operation never got past its checks would prove little.
    after = succeeded(world)
    idle = [operation for operation in OPERATIONS if after[operation] == before[operation]]
    expect(not idle, f"nothing succeeded at {idle}")
    print(f"schemathesis: {sum((after - before).values())} good answers, {done.stdout.splitlines()[-2].strip()}", after-before)


@check
def schemathesis_finds_nothing_against_the_corrected_ocf_definition(world):
    ask_everything(world, OCF, "--url", world.cloud.url)
