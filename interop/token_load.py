"""The token endpoint under a steady load of refreshes, each rotated durably, and beside it oidc-provider of npm in memory.

The load comes at fixed times, whether the server keeps up or not; what counts is the time from when a request was due to its answer,
and the CPU time of the server's process for each.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

import linking
from cloud import Cloud, free_port
from run import World



def cpu(pid):
    """Seconds of CPU time that a process has taken, all its threads together."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Worker:
    """One connection that stays open, and one refresh token."""

    def __init__(self, url, form, context=None):
        self.at, self.form = urllib.parse.urlsplit(url), form
        kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
        more = {"context": context} if context else {}
        self.connection = kind(self.at.hostname, self.at.port, timeout=30, **more)
        self.times, self.wrong = [], []

    def ask(self):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self.connection.request("POST", self.at.path, urllib.parse.urlencode(self.form), headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            self.wrong.append((answer.status, body[:80]))
            return
        self.form["refresh_token"] = json.loads(body).get("refresh_token", self.form["refresh_token"])

    def run(self, begin, first, step, until):
        due = begin + first
        while due < until:
            time.sleep(max(0.0, due - time.monotonic()))
            self.ask()
            self.times.append(time.monotonic() - due)
            due += step


def load(workers, pid, rate, seconds):
    """Median and 99th percentile of the times in seconds, and the seconds of CPU time of each request."""
    for worker in workers:
        worker.ask()
    began, begin = cpu(pid), time.monotonic() + 0.1
    step = len(workers) / rate
    arguments = [(begin, number / rate, step, begin + seconds) for number in range(len(workers))]
    threads = [threading.Thread(target=one.run, args=more) for one, more in zip(workers, arguments)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = cpu(pid) - began
    wrong = [one for worker in workers for one in worker.wrong]
    if wrong:
        raise RuntimeError(f"{len(wrong)} wrong answers, the first: {wrong[0]}")
    times = sorted(one for worker in workers for one in worker.times)
    return times[len(times) // 2], times[len(times) * 99 // 100], taken / len(times)


def ours(program, connections, rate, seconds):
    with Cloud(program, environment={"RUST_LOG": "warn"}) as cloud:
        world = World(cloud)
        context = ssl.create_default_context(cafile=cloud.ca)
        endpoint = linking.metadata(world)["token_endpoint"]
        workers = []
        for _ in range(connections):
            session, _, _ = linking.link(world, world.public_client)
            held = session.token["refresh_token"]
            form = {"grant_type": "refresh_token", "client_id": world.public_client.id, "refresh_token": held}
            workers.append(Worker(endpoint, form, context))
        return load(workers, cloud.process.pid, rate, seconds)


def theirs(peer, connections, rate, seconds):
    """The same of oidc-provider in this folder; None where it is not installed."""
    if not shutil.which("node") or not (peer / "node_modules" / "oidc-provider").is_dir():
        return None
    with contextlib.ExitStack() as last:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        port = free_port(socket.SOCK_STREAM)
        server = subprocess.Popen(["node", peer / "server.mjs", str(port), str(connections)], env={**os.environ, "NODE_ENV": "production"}, **pipes)
        last.callback(server.kill)
        task = json.loads(next(line for line in server.stdout if line.startswith("{")))
        url = task.pop("url")
        held = task.pop("refresh_tokens")
        workers = [Worker(url, {"grant_type": "refresh_token", "refresh_token": one, **task}) for one in held]
        return load(workers, server.pid, rate, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cloud", type=pathlib.Path, required=True, help="the device-side-cloud program")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=200, help="requests in a second")
    parser.add_argument("--connections", type=int, default=16, help="each with a link of its own")
    parser.add_argument("--peer", type=pathlib.Path, help="a folder with benches/oidc-provider and what it needs; without it only we are measured")
    arguments = parser.parse_args()
    median, most, work = ours(arguments.cloud.resolve(), arguments.connections, arguments.rate, arguments.seconds)
    print(f"ours: {arguments.rate:.0f}/s, median {median * 1000:.2f} ms, p99 {most * 1000:.2f} ms (< 50), CPU {work * 1e6:.0f} us a request")
    if arguments.peer is None:
        return 0
    peer = theirs(arguments.peer.resolve(), arguments.connections, arguments.rate, arguments.seconds)
    if peer is None:
        print(f"oidc-provider is not installed: npm ci --prefix {arguments.peer}")
        return 0
    median, most, their_work = peer
    print(
        f"oidc-provider: median {median * 1000:.2f} ms, p99 {most * 1000:.2f} ms, CPU {their_work * 1e6:.0f} us a request, "
        f"{their_work / work:.1f} times ours (>= 10)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
