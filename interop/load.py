"""A load run: several connections ask for the devices of a linked account for a while. Every answer must be right."""

import argparse
import http.client
import pathlib
import ssl
import sys
import threading
import time

import libcoap
import linking
from cloud import Cloud
from run import World


def ask(world, token, until, times, failures):
    """One connection, kept open: asks again and again; the time of each answer in seconds."""
    context = ssl.create_default_context(cafile=world.cloud.ca)
    connection = http.client.HTTPSConnection("localhost", world.cloud.https_port, context=context, timeout=30)
    while time.monotonic() < until:
        begun = time.monotonic()
        connection.request("GET", "/api/v1/devices", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        times.append(time.monotonic() - begun)
        if answer.status != 200 or world.device.di.encode() not in body:
            failures.append((answer.status, body[:80]))
    connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cloud", type=pathlib.Path, required=True, help="the device-side-cloud program")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--connections", type=int, default=8)
    arguments = parser.parse_args()
    with Cloud(arguments.cloud.resolve()) as cloud:
        world = World(cloud)
        libcoap.publish(world, libcoap.CLIENTS[0], world.device)
        session, _, _ = linking.link(world, world.client)
        token = session.token["access_token"]
        times, failures = [], []
        until = time.monotonic() + arguments.seconds
        workers = [
            threading.Thread(target=ask, args=(world, token, until, times, failures))
            for _ in range(arguments.connections)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        status = cloud.stop()
    times.sort()
    if not times:
        print("load: no answer at all")
        return 1
    half, most = times[len(times) // 2], times[len(times) * 99 // 100]
    print(
        f"load: {len(times)} answers in {arguments.seconds:.0f} s on {arguments.connections} connections: "
        f"{len(times) / arguments.seconds:.0f}/s, median {half * 1000:.2f} ms, p99 {most * 1000:.2f} ms, "
        f"{len(failures)} wrong, exit status {status}"
    )
    for failure in failures[:5]:
        print("wrong:", failure)
    return 1 if failures or status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
