"""A factory's devices power up at once: sets a cloud of its own up, with two tenants, and has provisioning-load come to it.

    python3 benches/provisioning-load/run.py --cloud PATH/TO/device-side-cloud --load PATH/TO/provisioning-load

Three runs: the many and another tenant's few; the few alone, which says what they can expect; and both beside a bad fleet that
never gives up. The status is 1 when a good device was not assigned, the few had to wait for most of the many, or the bad fleet
held everyone up for longer than --patience says.
"""

import argparse
import json
import pathlib
import re
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "interop"))

from cloud import Cloud, free_port  # noqa: E402

POINT = {"name": "There", "endpoints": {"mqtt": "there.example:8883"}}


def group(cloud, tenant, local):
    """A tenant with a group and somewhere to go, be it this cloud itself; the group's scope and secret."""
    cloud.run("provisioning", "tenant", tenant, tenant)
    point, there = f"{tenant}-there", dict(POINT)
    if local:
        product = cloud.admin("product", "add", tenant)["product_key"]
        there |= {"local": True, "applications": [product], "default_application": product}
    cloud.run("provisioning", "change", tenant, f"access-points/{point}", json.dumps(there))
    body = {"registration_group_name": tenant, "id_rule": {"patterns": ["*"]}, "access_point_id": point}
    made = json.loads(cloud.run("provisioning", "create", tenant, "registration-groups", json.dumps(body)))
    return made["scope_id"], made["register_group_secret"]


def power_up(arguments, title, counts, bad=0):
    """One run on a fresh cloud; when half, 99 in 100 and the last of each group were assigned."""
    door = free_port(socket.SOCK_STREAM)
    settings = {"provisioning.enabled": "true", "mqtt.listen": f'"127.0.0.1:{door}"'}
    if arguments.rate:
        settings |= {f"provisioning.requests_per_tenant{suffix}": str(arguments.rate) for suffix in ("", "_and_second")}
    with Cloud(arguments.cloud.resolve(), settings=settings) as cloud:
        groups = [(*group(cloud, tenant, arguments.local), count) for tenant, count in counts.items()]
        command = [arguments.load.resolve(), "--server", f"127.0.0.1:{door}", "--ca", cloud.ca, "--pid", str(cloud.process.pid)]
        command += ["--bad", str(bad), "--limit", str(arguments.limit)]
        for one in groups:
            command += ["--group", ",".join(map(str, one))]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE)
        print(f"--- {title}\n{done.stdout}", end="", flush=True)
        if cloud.stop() != 0 or done.returncode != 0:
            print(f"not everyone was assigned; the end of the cloud's log:\n{cloud.log.read_text()[-3000:]}")
            sys.exit(1)
    lines = [re.findall(r"after ([\d.]+) s", line) for line in done.stdout.splitlines()[: len(counts)]]
    return [[float(text) for text in line] for line in lines]


def main():
    parser = argparse.ArgumentParser(description="Devices that power up at once.")
    parser.add_argument("--cloud", type=pathlib.Path, required=True)
    parser.add_argument("--load", type=pathlib.Path, required=True)
    parser.add_argument("--many", type=int, default=10_000, help="devices of the first tenant")
    parser.add_argument("--few", type=int, default=100, help="devices of the second tenant")
    parser.add_argument("--bad", type=int, default=1000, help="devices of the bad fleet")
    parser.add_argument("--local", action="store_true", help="they are assigned to the cloud that they ask")
    parser.add_argument("--rate", type=int, help="requests that a tenant may make at once and in every second; else as the cloud has it")
    parser.add_argument("--limit", type=int, default=600, help="seconds that a run may take")
    parser.add_argument("--patience", type=float, default=3.0, help="how many times as long the others may take beside a bad fleet")
    arguments = parser.parse_args()
    many, few = {"many": arguments.many}, {"few": arguments.few}
    beside = power_up(arguments, "many of one tenant and few of another", {**many, **few})
    alone = power_up(arguments, "the few alone", few)
    raging = power_up(arguments, f"the same as first, beside {arguments.bad} that never give up", {**many, **few}, arguments.bad)
    print("--- in seconds, until all were assigned")
    print(f"many: {beside[0][2]:.2f}; few: {alone[0][2]:.2f} alone, {beside[1][2]:.2f} beside the many")
    print(f"beside the bad fleet: many {raging[0][2]:.2f}, few {raging[1][2]:.2f}")
    # They came in at the same moment, and are a hundredth.
    starved = beside[1][2] > 0.75 * beside[0][2] + 1
    held_up = raging[0][2] > arguments.patience * beside[0][2] + 5
    if starved or held_up:
        print("the few had to wait for the many" if starved else "the bad fleet held the others up")
        sys.exit(1)


if __name__ == "__main__":
    main()
