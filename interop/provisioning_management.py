"""The provisioning service's HTTPS interface, with requests as an operator's tool, openapi-spec-validator as the reader of its
description, and schemathesis asking everything that the description allows."""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import requests
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from checks import check, expect
from cloud import Cloud
from descriptions import CHECKS, CHECKS_OF_METHODS, EXAMPLES

TOKEN, OTHER_TOKEN = "a token of acme's operators", "a token of others"
# As many as one file of a larger fleet has; LONG says that there is time for all.
DEVICES = 100_000 if os.environ.get("LONG") else 2_000


class Operator:
    """An operator of a tenant; every answer is judged by the description that the cloud serves."""

    def __init__(self, cloud, tenant, token):
        self.base = f"{cloud.url}/v5/iotps/{tenant}/"
        self.session = requests.Session()
        # Or an environment with roots of its own would win.
        self.session.trust_env = False
        self.session.verify = cloud.ca
        self.session.headers["X-Auth-Token"] = token
        self.description = self.session.get(f"{cloud.url}/v5/iotps/openapi.json", timeout=30).json()

    def ask(self, method, path, body=None, template=None, **headers):
        answer = self.session.request(method, self.base + path, json=body, headers=headers, timeout=30)
        operation = self.description["paths"]["/v5/iotps/{project_id}/" + (template or path)][method.lower()]
        declared = operation["responses"].get(str(answer.status_code), self.description["components"]["responses"]["Error"])
        if "content" in declared:
            schema = declared["content"]["application/json"]["schema"]
            whole = {**schema, "components": self.description["components"]}
            faults = [fault.message for fault in OAS31Validator(whole).iter_errors(answer.json())]
            expect(not faults, f"{method} {path}: {answer.text[:300]} is not as described: {faults}")
        return answer

    def made(self, method, path, body, template=None):
        answer = self.ask(method, path, body, template)
        expect(answer.status_code in (200, 201), f"{method} {path} is answered {answer.status_code} {answer.text}")
        return answer.json()


@contextlib.contextmanager
def provisioning(world):
    digests = [hashlib.sha256(token.encode()).hexdigest() for token in (TOKEN, OTHER_TOKEN)]
    operators = f'[{{tenant = "acme", token_sha256 = "{digests[0]}"}}, {{tenant = "others", token_sha256 = "{digests[1]}"}}]'
    with Cloud(world.cloud.program, settings={"enabled": "true", "operators": operators}) as cloud:
        for tenant in ("acme", "others"):
            cloud.run("provisioning", "tenant", tenant, tenant.capitalize())
        yield cloud, Operator(cloud, "acme", TOKEN)
        expect(cloud.stop() == 0, "the cloud did not stop in good order")


@check
def an_operator_sets_a_tenant_up_over_https_as_the_description_says(world):
    with provisioning(world) as (cloud, acme):
        faults = [str(fault) for fault in OpenAPIV31SpecValidator(acme.description).iter_errors()]
        expect(not faults, f"the description is not OpenAPI 3.1: {faults[:3]}")
        point, one = "access-points/{id}", "devices/{id}"
        acme.made("PUT", "access-points/here", {"name": "Here", "local": True, "applications": ["lamp"]}, point)
        policy = {"access_point_id": "here", "base_strategy_info": {"keyword": "lamp", "priority": 4}}
        made = acme.made("POST", "allocation-strategies/base", policy)
        expect(made["base_strategy_info"]["keyword_from"] == "deviceName", f"the policy is {made}")
        group = acme.made("POST", "registration-groups", {"registration_group_name": "lamps", "id_rule": {"patterns": ["lamp-*"]}})
        secret = base64.b64decode(group["register_group_secret"], validate=True)
        expect(32 <= len(secret) <= 128 and 0 not in secret, f"the group's secret has {len(secret)} bytes")
        device = acme.made("POST", "devices", {"device_id": "lamp-1", "provision_info": {"init_config": "{}"}})
        expect(device["allocation_status"] == 3 and len(device["secret"]) == 32, f"the device is {device}")
        shown = acme.ask("GET", "devices/lamp-1", template=one)
        expect("secret" not in shown.json() and shown.headers["ETag"], f"the device is shown as {shown.text}")
        changed = acme.ask("PUT", "devices/lamp-1", {"enabled": False}, one, **{"If-Match": shown.headers["ETag"]})
        expect(changed.status_code == 200 and changed.json()["enabled"] is False, f"it is changed to {changed.text}")
        stale = acme.ask("PUT", "devices/lamp-1", {"enabled": True}, one, **{"If-Match": shown.headers["ETag"]})
        expect(stale.status_code == 412, f"a stale version is answered {stale.status_code}")
        again = acme.ask("POST", "devices", {"device_id": "lamp-1"})
        expect(again.json()["error_code"] == "IoTDP.100204", f"a second device is answered {again.text}")
        # The command line sees the same.
        by_command = json.loads(cloud.run("provisioning", "show", "acme", "devices/lamp-1"))
        expect(by_command["enabled"] is False, f"the command shows {by_command}")
        cloud.run("provisioning", "trigger", "acme", "lamp-1")
        expect(acme.ask("GET", "devices/lamp-1", template=one).json()["triggered"], "the trigger is not shown")
        # What was set survives the program.
        cloud.stop()
        cloud.start()
        expect(acme.ask("GET", "devices/lamp-1", template=one).status_code == 200, "the device did not survive")


@check
def a_token_opens_its_own_tenant_and_nothing_else(world):
    with provisioning(world) as (cloud, acme):
        for token in (OTHER_TOKEN, "", "guess"):
            stranger = Operator(cloud, "acme", token)
            answer = stranger.ask("GET", "devices")
            expect(answer.status_code == 401 and answer.json()["error_code"], f"{token!r} is answered {answer.text}")
        nowhere = Operator(cloud, "nobody", TOKEN).ask("GET", "devices")
        expect(nowhere.status_code == 401, f"a tenant that is not there is answered {nowhere.status_code}")
        theirs = Operator(cloud, "others", OTHER_TOKEN)
        theirs.made("PUT", "access-points/there", {"name": "There"}, "access-points/{id}")
        policy = {"access_point_id": "there", "base_strategy_info": {"keyword": "x", "priority": 0}}
        refused = acme.ask("POST", "allocation-strategies/base", policy)
        expect(refused.json()["error_code"] == "IoTDP.105004", f"without a grant it is answered {refused.text}")
        cloud.run("provisioning", "grant", "others", "there", "acme")
        acme.made("POST", "allocation-strategies/base", policy)


@check
def a_file_of_devices_is_imported_with_its_faults_named_and_once(world):
    with provisioning(world) as (cloud, acme):
        file = cloud.path / "devices.csv"
        lines = ["device_id,device_name,secret"]
        lines += [f"sn-{number:06},Meter {number},secret-{number:06}" for number in range(DEVICES)]
        lines[500] = "no/id,Meter,secret-000499"
        file.write_text("\n".join(lines) + "\n")
        begun = time.monotonic()
        done = import_file(cloud, file)
        took = time.monotonic() - begun
        print(f"{DEVICES} devices were imported in {took:.1f} s", file=sys.stderr)
        expect(done.returncode != 0 and "line 501: IoTDP.100202" in done.stderr, f"it ended {done.returncode}: {done.stderr[-500:]}")
        counts = dict(line.split(": ") for line in done.stdout.splitlines())
        expect(counts == {"created": str(DEVICES - 1), "present": "0", "refused": "1"}, f"the counts are {counts}")
        lines[500] = "sn-000499,Meter 499,secret-000499"
        file.write_text("\n".join(lines) + "\n")
        done = import_file(cloud, file)
        counts = dict(line.split(": ") for line in done.stdout.splitlines())
        expect(counts == {"created": "1", "present": str(DEVICES - 1), "refused": "0"}, f"again the counts are {counts}")
        seen, marker, last = 0, "", ""
        while marker is not None and seen < 500:
            page = acme.ask("GET", f"devices?limit=50{marker}", template="devices").json()
            ids = [device["device_id"] for device in page["devices"]]
            expect(ids == sorted(set(ids)) and last < ids[0], f"behind {last} the page is {ids}")
            seen, last = seen + len(ids), ids[-1]
            marker = page["page"]["marker"] and f"&marker={page['page']['marker']}"
        expect(last == "sn-000499", f"500 devices end with {last}")


def import_file(cloud, file):
    command = [cloud.program, "provisioning", "import", "acme", file, "--config", cloud.config]
    return subprocess.run(command, text=True, capture_output=True, timeout=600)


# Whatever it takes from here is there: ids that are made up would never get past "not found".
KNOWN = {"id": ["here", "lamp-1"], "project_id": ["acme"]}
# What a run must have done with success.
MUST = [
    ("GET", "devices"), ("POST", "devices"), ("GET", "devices/{id}"), ("PUT", "devices/{id}"), ("POST", "devices/{id}/action"),
    ("GET", "access-points"), ("POST", "access-points"), ("GET", "access-points/{id}"), ("GET", "access-points/{id}/applications"),
    ("GET", "registration-groups"), ("POST", "registration-groups"),
    ("GET", "allocation-strategies/base"), ("POST", "allocation-strategies/nearby"), ("POST", "allocation-strategies/weighted"),
]


@check
def schemathesis_finds_nothing_against_the_description_of_the_provisioning_service(world):
    with provisioning(world) as (cloud, acme):
        point = {"name": "Here", "local": True, "applications": ["lamp"], "default_application": "lamp"}
        acme.made("PUT", "access-points/here", point, "access-points/{id}")
        acme.made("POST", "devices", {"device_id": "lamp-1"})
        config, report = cloud.path / "schemathesis.toml", cloud.path / "schemathesis.har"
        lines = ["[headers]", f'"X-Auth-Token" = "{TOKEN}"', "[parameters]"]
        lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = {0.8 if name == "id" else 1.0} }}' for name in KNOWN]
        for name, known in KNOWN.items():
            lines += [f"[dictionaries.{name}]", f"values = {json.dumps(known)}"]
        lines += ["[phases.stateful.inference]", "algorithms = []"]
        config.write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            [
                pathlib.Path(sys.executable).with_name("st"), "--config-file", config, "run", f"{cloud.url}/v5/iotps/openapi.json",
                "--checks", ",".join(CHECKS + CHECKS_OF_METHODS),
                "--tls-verify", cloud.ca,
                "--max-examples", str(EXAMPLES),
                "--seed", "1",
                "--generation-database", "none",
                "--report", "har", "--report-har-path", report,
                "--no-color",
            ],
            cwd=cloud.path,
            capture_output=True,
            text=True,
            timeout=120 + 20 * EXAMPLES,
        )
        said = done.stdout + done.stderr
        expect(done.returncode == 0, f"schemathesis ended with {done.returncode}:\n{said[-20000:]}")
        idle = [operation for operation in MUST if operation not in succeeded(report, acme)]
        expect(not idle, f"nothing succeeded at {idle}")
        print(f"schemathesis: {done.stdout.splitlines()[-2].strip(' =')}")


def succeeded(report, operator):
    """The operations of a run that were answered with success at least once, as method and path below the tenant."""
    templates = [path.removeprefix("/v5/iotps/{project_id}/") for path in operator.description["paths"]]
    patterns = [(template, re.compile(re.sub(r"\{\w+\}", "[^/]+", template))) for template in templates]
    done = set()
    for entry in json.loads(report.read_text())["log"]["entries"]:
        path = entry["request"]["url"].split("?")[0].split("/v5/iotps/acme/")[-1]
        # A path without variables comes first: "devices" is none of "{id}".
        for template, pattern in patterns:
            if entry["response"]["status"] < 300 and pattern.fullmatch(path):
                done.add((entry["request"]["method"], template))
    return done
