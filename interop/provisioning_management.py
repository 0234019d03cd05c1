"""The provisioning service's HTTPS interface, with requests as an operator's tool, openapi-spec-validator as the reader of its
description, and schemathesis asking everything that the description allows."""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import types

import requests
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from checks import check, expect
from cloud import PATIENCE, Cloud, free_port
from descriptions import CHECKS, CHECKS_OF_METHODS, EXAMPLES
from provisioning_certificates import Bench
from provisioning_mqtt import Device, hour, sign

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
    """A cloud of its own with two tenants, its MQTT door, and an operator of the first."""
    digests = [hashlib.sha256(token.encode()).hexdigest() for token in (TOKEN, OTHER_TOKEN)]
    operators = f'[{{tenant = "acme", token_sha256 = "{digests[0]}"}}, {{tenant = "others", token_sha256 = "{digests[1]}"}}]'
    door = f'"127.0.0.1:{free_port(socket.SOCK_STREAM)}"'
    settings = {"provisioning.enabled": "true", "provisioning.operators": operators, "mqtt.listen": door}
    with Cloud(world.cloud.program, settings=settings) as cloud:
        for tenant in ("acme", "others"):
            cloud.run("provisioning", "tenant", tenant, tenant.capitalize())
        yield cloud, Operator(cloud, "acme", TOKEN)
        expect(cloud.stop() == 0, "the cloud did not stop in good order")


def device_of(cloud, name, secret):
    """A device of paho that is let in at the cloud's MQTT door and listens."""
    listen = cloud.settings["mqtt.listen"].strip('"')
    door = types.SimpleNamespace(roots=types.SimpleNamespace(certificate=cloud.ca), port=int(listen.split(":")[1]))
    timestamp = hour()
    device = Device(door, f"{name}_0_1_{timestamp}", name, sign(timestamp, secret)).let_in()
    device.subscribe(device.down)
    return device


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
        counts = counted(done)
        expect(counts == {"created": str(DEVICES - 1), "present": "0", "refused": "1"}, f"the counts are {counts}")
        lines[500] = "sn-000499,Meter 499,secret-000499"
        file.write_text("\n".join(lines) + "\n")
        done = import_file(cloud, file)
        counts = counted(done)
        expect(counts == {"created": "1", "present": str(DEVICES - 1), "refused": "0"}, f"again the counts are {counts}")
        seen, marker, last = 0, "", ""
        while marker is not None and seen < 500:
            page = acme.ask("GET", f"devices?limit=50{marker}", template="devices").json()
            ids = [device["device_id"] for device in page["devices"]]
            expect(ids == sorted(set(ids)) and last < ids[0], f"behind {last} the page is {ids}")
            seen, last = seen + len(ids), ids[-1]
            marker = page["page"]["marker"] and f"&marker={page['page']['marker']}"
        expect(last == "sn-000499", f"500 devices end with {last}")


@check
def an_import_that_was_broken_off_goes_on_where_it_was_and_shows_how_far_it_is(world):
    with provisioning(world) as (cloud, acme):
        file = cloud.path / "devices.csv"
        file.write_text("device_id\n" + "".join(f"sn-{number:06}\n" for number in range(2 * DEVICES)))
        command = import_command(cloud, file)
        first = subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        shown = first.stderr.readline()
        first.send_signal(signal.SIGKILL)
        first.wait(PATIENCE)
        expect(re.fullmatch(r"\[[#-]{24}\] \d+ devices, \d+/s, \d+ refused\n", shown), f"the progress is {shown!r}")
        counts = counted(import_file(cloud, file))
        expect(int(counts["present"]) >= int(shown.split()[1]), f"{shown} was shown, and then the counts are {counts}")
        expect(int(counts["present"]) + int(counts["created"]) == 2 * DEVICES, f"the counts are {counts}")
        expect(int(counts["created"]) > 0, "nothing was left to go on with")
        header = cloud.path / "header.csv"
        header.write_text("device_id,colour\nsn-1,red\n")
        done = import_file(cloud, header)
        expect(done.returncode != 0 and "colour" in done.stderr, f"a column that is not known ends {done.stderr}")


def import_command(cloud, file):
    return [cloud.program, "provisioning", "import", "acme", file, "--config", cloud.config]


def import_file(cloud, file):
    return subprocess.run(import_command(cloud, file), text=True, capture_output=True, timeout=600)


def counted(done):
    return dict(line.split(": ") for line in done.stdout.splitlines())


@check
def an_authority_is_proved_over_https_and_stays_while_something_names_it(world):
    with provisioning(world) as (cloud, acme):
        openssl = Bench(types.SimpleNamespace(cloud=cloud))
        one, point = "certificates/{id}", "access-points/{id}"
        acme.made("PUT", "access-points/here", {"name": "Here"}, point)
        info = {"provision_info": {"certificate_id": "nobodys"}}
        refused = acme.ask("POST", "devices", {"device_id": "meter-0", **info})
        expect(refused.json()["error_code"] == "IoTDP.199012", f"an authority that is not there is answered {refused.text}")
        made = acme.made("POST", "certificates", {"cert_name": "Makers", "content": openssl.root("makers").read_text()})
        path = f"certificates/{made['certificate_id']}"
        expect(made["status"] is False and made["expired"] == 0, f"it is uploaded as {made}")
        code = acme.made("POST", f"{path}/action", {"action": "generateCode"}, f"{one}/action")["verify_code"]
        strange = openssl.root("strangers") and openssl.sign("strangers", "wrong", f"/CN={code}", "device")
        for wrong in (strange, openssl.sign("makers", "other", "/CN=another", "device")):
            verify = {"action": "verify", "verify_content": wrong.read_text()}
            answer = acme.ask("POST", f"{path}/action", verify, f"{one}/action")
            expect(answer.status_code == 400, f"a wrong proof is answered {answer.text}")
        proof = openssl.sign("makers", "proof", f"/CN={code}", "device")
        verify = {"action": "verify", "verify_content": proof.read_text()}
        shown = acme.made("POST", f"{path}/action", verify, f"{one}/action")
        expect(shown["status"] is True and shown["state"] == "verified", f"it is verified as {shown}")
        expect(acme.ask("GET", "certificates").json()["page"]["count"] == 1, "it is not listed")
        # Whatever names it keeps it.
        info = {"provision_info": {"certificate_id": made["certificate_id"]}}
        acme.made("POST", "devices", {"device_id": "meter-1", **info})
        group = acme.made("POST", "registration-groups", {"registration_group_name": "meters", **info})
        policy = {"access_point_id": "here", "certificate_strategy_info": {"cert_id": made["certificate_id"]}}
        policy = acme.made("POST", "allocation-strategies/certificates", policy)
        second = acme.ask("POST", "registration-groups", {"registration_group_name": "more", **info})
        expect(second.status_code == 409, f"a second group of the authority is answered {second.text}")
        users = [
            ("devices/meter-1", "devices/{id}"),
            (f"registration-groups/{group['registration_group_id']}", "registration-groups/{id}"),
            (f"allocation-strategies/certificates/{policy['strategy_id']}", "allocation-strategies/certificates/{id}"),
        ]
        for user, template in users:
            refused = acme.ask("DELETE", path, template=one)
            expect(refused.json()["error_code"] == "IoTDP.199006", f"beside {user} it is answered {refused.text}")
            openssl.refused("in use", "authority", "delete", "acme", made["certificate_id"])
            expect(acme.ask("DELETE", user, template=template).status_code == 204, f"{user} stays")
        expect(acme.ask("DELETE", path, template=one).status_code == 204, "it cannot be removed")
        expect(acme.ask("GET", path, template=one).status_code == 404, "it is still there")


@check
def certificates_are_issued_renewed_and_revoked_over_https(world):
    with provisioning(world) as (cloud, acme):
        openssl = Bench(types.SimpleNamespace(cloud=cloud))
        issued, one, action = "devices/{id}/certificates", "issued-certificates/{id}", "issued-certificates/{id}/action"
        acme.made("POST", "devices", {"device_id": "meter-1"})
        root = acme.made("POST", "issuers", {"issuer_id": "own", "validity_days": 3650})
        (openssl.folder / "own.pem").write_text(root["content"])
        expect(root["current"] and "PRIVATE" not in json.dumps(root), f"the issuer is {root}")
        profile = "certificate-profiles/{id}"
        year = acme.ask("PUT", "certificate-profiles/year", {"validity_days": 365}, profile)
        changed = {"validity_days": 365, "key_types": ["ecdsa_p256", "rsa"]}
        tag = {"If-Match": year.headers["ETag"]}
        expect(acme.ask("PUT", "certificate-profiles/year", changed, profile, **tag).status_code == 200, "the profile is not changed")
        expect(acme.ask("PUT", "certificate-profiles/year", changed, profile, **tag).status_code == 412, "a stale profile is changed")

        def issue(name, kind):
            openssl.key(name, kind)
            body = {"profile_id": "year", "csr": openssl.request(name, "/CN=meter-1").read_text()}
            made = acme.made("POST", "devices/meter-1/certificates", body, issued)
            (openssl.folder / f"{name}.pem").write_text(made["content"])
            said = openssl("verify", "-x509_strict", "-CAfile", "own.pem", "-purpose", "sslclient", f"{name}.pem")
            expect("OK" in said, f"openssl says {said}")
            expect("CN = meter-1" in openssl("x509", "-in", f"{name}.pem", "-noout", "-subject", "-nameopt", "space_eq"), "it is another's")
            certified = openssl("x509", "-in", f"{name}.pem", "-noout", "-pubkey")
            expect(certified == openssl("pkey", "-in", f"{name}.key", "-pubout"), "it is for another key")
            serial = openssl("x509", "-in", f"{name}.pem", "-noout", "-serial").strip().removeprefix("serial=").lower()
            expect(made["serial_number"] == serial and made["state"] == "pending", f"it is issued as {made}")
            path = f"issued-certificates/{serial}"
            wrong = acme.ask("POST", f"{path}/action", {"action": "activate", "token": "0" * 64}, action)
            expect(wrong.status_code == 400, f"a wrong token is answered {wrong.text}")
            active = acme.made("POST", f"{path}/action", {"action": "activate", "token": made["token"]}, action)
            expect(active["state"] == "active", f"it is {active}")
            return path

        first, second = issue("first", "ec"), issue("second", "rsa")
        # A foreign name, another device's key and a broken signature come to nothing.
        wrong = [openssl.request("first", "/CN=meter-2").read_text(), "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
        for csr in wrong:
            refused = acme.ask("POST", "devices/meter-1/certificates", {"profile_id": "year", "csr": csr}, issued)
            expect(refused.json()["error_code"] == "IoTDP.100216", f"a wrong request is answered {refused.text}")
        acme.made("POST", "devices", {"device_id": "meter-2"})
        theirs = {"profile_id": "year", "csr": openssl.request("first", "/CN=meter-2").read_text()}
        refused = acme.ask("POST", "devices/meter-2/certificates", theirs, issued)
        expect(refused.status_code == 400, f"another device's key is answered {refused.text}")
        # One for a key of the service's, which is shown this once; the third in use puts the first out of it.
        made = acme.made("POST", "devices/meter-1/certificates", {"profile_id": "year"}, issued)
        (openssl.folder / "third.key").write_text(made["private_key"])
        (openssl.folder / "third.pem").write_text(made["content"])
        certified = openssl("x509", "-in", "third.pem", "-noout", "-pubkey")
        expect(certified == openssl("pkey", "-in", "third.key", "-pubout"), "the key that was handed out is another")
        acme.made("POST", f"issued-certificates/{made['serial_number']}/action", {"action": "activate", "token": made["token"]}, action)
        expect(acme.ask("GET", first, template=one).json()["state"] == "superseded", "three are in use")
        listed = acme.ask("GET", "devices/meter-1/certificates?limit=2", template=issued).json()
        expect(len(listed["certificates"]) == 2 and listed["page"]["marker"], f"they are listed as {listed}")
        revoked = acme.made("POST", f"{second}/action", {"action": "revoke", "reason": "key_compromise"}, action)
        expect(revoked["state"] == "revoked" and revoked["reason"] == "key_compromise", f"it is {revoked}")
        listed = acme.ask("GET", "devices/meter-1/certificates", template=issued).json()["certificates"]
        states = sorted(shown["state"] for shown in listed)
        expect(states == ["active", "revoked", "superseded"], f"they are {states}")
        # The list of revocations of openssl's says the same.
        expect(root["revocation_list_url"] == f"{cloud.url}/certificates/acme/own.crl", f"the list is at {root['revocation_list_url']}")
        answer = requests.get(root["revocation_list_url"], verify=cloud.ca, timeout=30)
        (openssl.folder / "own.der").write_bytes(answer.content)
        openssl("crl", "-inform", "DER", "-in", "own.der", "-out", "own.crl", "-CAfile", "own.pem", "-verify")
        said = openssl("verify", "-crl_check", "-CAfile", "own.pem", "-CRLfile", "own.crl", "second.pem", ok=False)
        expect("revoked" in said, f"openssl says {said}")
        log = cloud.log.read_text()
        expect("PRIVATE" not in log and made["token"] not in log, "the log holds a secret")


@check
def grants_products_and_where_a_device_goes_are_set_over_https(world):
    with provisioning(world) as (cloud, acme):
        others = Operator(cloud, "others", OTHER_TOKEN)
        point = {"name": "There", "applications": ["lamp"], "default_application": "lamp"}
        others.made("PUT", "access-points/there", point, "access-points/{id}")
        grants, one = "access-points/{id}/grants", "access-points/{id}/grants/{domain_id}"
        others.made("POST", "access-points/there/grants", {"authorized_domain_id": "acme"}, grants)
        expect(others.ask("GET", "access-points/there/grants", template=grants).json()["grants"] == [{"authorized_domain_id": "acme"}], "no grant")
        product = acme.ask("GET", "products").json()["products"]
        expect(product == [{"product_id": "lamp", "access_point_ids": ["there"]}], f"the products are {product}")
        acme.made("POST", "devices", {"device_id": "lamp-1"})
        body = {"access_point_id": "there", "product_id": "lamp", "authorizing_domain_id": "others"}
        shown = acme.made("POST", "devices/lamp-1/allocation", body, "devices/{id}/allocation")
        expect(shown["triggered"] and shown["directed_to"]["id"] == "there", f"it is shown as {shown}")
        gone = others.ask("DELETE", "access-points/there/grants/acme", template=one)
        expect(gone.status_code == 204, f"the grant's end is answered {gone.text}")
        refused = acme.ask("POST", "devices/lamp-1/allocation", body, "devices/{id}/allocation")
        expect(refused.json()["error_code"] == "IoTDP.105004", f"without the grant it is answered {refused.text}")


@check
def who_was_erased_owns_no_enrollment_any_more(world):
    with provisioning(world) as (cloud, acme):
        erased = cloud.admin("user", "add", "erin", stdin="correct horse battery staple\n")["id"]
        kept = cloud.admin("user", "add", "kim", stdin="correct horse battery staple\n")["id"]
        acme.made("POST", "devices", {"device_id": "lamp-1", "owner": erased})
        acme.made("POST", "devices", {"device_id": "lamp-2", "owner": kept})
        group = acme.made("POST", "registration-groups", {"registration_group_name": "lamps", "owner": erased})
        paths = ["devices/lamp-1", "devices/lamp-2", f"registration-groups/{group['registration_group_id']}"]
        cloud.run("user", "erase", "erin")
        for _ in range(2):
            owners = [acme.ask("GET", path, template=path.split("/")[0] + "/{id}").json().get("owner") for path in paths]
            expect(owners == [None, kept, None], f"the owners are {owners}")
            cloud.stop()
            cloud.start()


@check
def a_device_shows_where_it_was_sent_by_what_and_what_happened_to_it(world):
    with provisioning(world) as (cloud, acme):
        product = cloud.admin("product", "add", "lamp")["product_key"]
        point = {"name": "Here", "local": True, "endpoints": {"mqtt": "here.example:8883"}, "applications": [product], "default_application": product}
        acme.made("PUT", "access-points/here", point, "access-points/{id}")
        there = {"name": "There", "endpoints": {"mqtt": "there.example:8883"}}
        acme.made("PUT", "access-points/there", there, "access-points/{id}")
        short = acme.ask("POST", "devices", {"device_id": "lamp-1", "auth_info": {"secret": "12345678"}})
        expect(short.status_code == 400 and "16" in short.json()["error_msg"], f"a short secret is answered {short.text}")
        secret = acme.made("POST", "devices", {"device_id": "lamp-1"})["secret"]

        def ask():
            with device_of(cloud, "lamp-1", secret) as device:
                return device.ask()

        def why():
            """What the interface and the command say, which is the same."""
            shown = acme.ask("GET", "devices/lamp-1", template="devices/{id}").json()
            by_command = json.loads(cloud.run("provisioning", "show", "acme", "devices/lamp-1"))
            expect(shown == by_command, f"{by_command} is not {shown}")
            return shown, [record["step"] for record in shown["records"]]

        refusal = ask()
        expect("address" not in refusal, f"without a policy it is told {refusal}")
        shown, steps = why()
        expect(steps == ["enrolled", "refused"] and shown["records"][-1]["cause"] == "no_match", f"its records are {shown['records']}")
        policy = {"access_point_id": "there", "base_strategy_info": {"keyword": "lamp", "priority": 1}}
        policy = acme.made("POST", "allocation-strategies/base", policy)
        expect(ask()["address"] == "there.example:8883", "it was sent elsewhere")
        shown, steps = why()
        sent = shown["assignment"]
        expect(sent["access_point"]["id"] == "there" and sent["strategy_id"] == policy["strategy_id"], f"it was sent by {sent}")
        expect(shown["allocation_status"] == 0 and steps[-2:] == ["proposed", "committed"], f"its records are {steps}")
        # An operator sends it elsewhere, and it is told when it comes next.
        acme.made("POST", "devices/lamp-1/allocation", {"access_point_id": "here"}, "devices/{id}/allocation")
        expect(ask()["address"] == "here.example:8883", "it was not sent here")
        shown, steps = why()
        expect(shown["assignment"]["generation"] > sent["generation"] and {"directed", "triggered"} <= set(steps), f"its records are {steps}")
        expect(shown["assignment"].get("strategy_id") is None, "a policy is said to have chosen what an operator chose")
        acme.ask("PUT", "devices/lamp-1", {"enabled": False}, "devices/{id}")
        last = why()[0]["records"][-1]
        expect(last["step"] == "enrolled" and last["number"] == why()[0]["records"][0]["number"] + len(why()[1]) - 1, f"the last record is {last}")


# Whatever has an id of its own choice is there under each of these: one that is made up would never get past "not found", and
# some are removed on the way.
IDS = [f"here-{number}" for number in range(40)]
KNOWN = {"id": IDS, "project_id": ["acme"]}
# What a run must have done with success.
MUST = [
    ("GET", "devices"), ("POST", "devices"), ("GET", "devices/{id}"), ("PUT", "devices/{id}"), ("POST", "devices/{id}/action"),
    ("GET", "access-points"), ("POST", "access-points"), ("GET", "access-points/{id}"), ("GET", "access-points/{id}/applications"),
    ("GET", "registration-groups"), ("POST", "registration-groups"),
    ("GET", "products"), ("GET", "products/{id}"), ("GET", "certificates"), ("POST", "devices/{id}/allocation"),
    ("GET", "issuers"), ("POST", "issuers"), ("GET", "certificate-profiles"), ("PUT", "certificate-profiles/{id}"),
    ("GET", "devices/{id}/certificates"),
    ("GET", "access-points/{id}/grants"), ("GET", "allocation-strategies/base"), ("POST", "allocation-strategies/nearby"), ("POST", "allocation-strategies/weighted"),
]


@check
def schemathesis_finds_nothing_against_the_description_of_the_provisioning_service(world):
    with provisioning(world) as (cloud, acme):
        for known in IDS:
            point = {"name": "Here", "local": True, "applications": [known], "default_application": known}
            acme.made("PUT", f"access-points/{known}", point, "access-points/{id}")
            acme.made("POST", "devices", {"device_id": known})
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
