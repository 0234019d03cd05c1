"""A disk that is really full: a small file system of its own under the cloud's data directory."""

import errno
import json
import os
import pathlib
import subprocess
import tempfile
import time

import libcoap
import linking
import monitoring
from bad_input import raw_https
from checks import Skipped, check, expect
from cloud import Cloud, derive_key
from dtls import Session
from notifications import DEVICES, call
from receiver import Receiver

# The journal's file must fit, and little else.
SIZE = 8 << 20


class SmallDisk:
    """A tmpfs of SIZE bytes, mounted as root or else in a name space of its own, in which this user is root."""

    def __enter__(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="small-disk-"))
        lacks = []
        for mounted in (self._mounted, self._mounted_with_sudo, self._mounted_in_a_name_space):
            if (lack := mounted()) is None:
                return self
            lacks.append(lack)
        self.place.rmdir()
        raise Skipped(f"a small disk cannot be mounted: {'; '.join(lacks)}")

    def __exit__(self, *_):
        self.unmount()
        self.place.rmdir()

    def _mounted(self, *root):
        """Mounts as root; what it lacks, if it cannot."""
        mount = [*root, "mount", "-t", "tmpfs", "-o", f"size={SIZE},uid={os.getuid()}", "tmpfs", self.place]
        try:
            done = subprocess.run(mount, capture_output=True, text=True)
        except FileNotFoundError as error:
            return str(error)
        if done.returncode != 0:
            return done.stderr.partition("\n")[0]
        self.folder = self.place
        self.unmount = lambda: subprocess.run([*root, "umount", "--lazy", self.place], check=True)
        return None

    def _mounted_with_sudo(self):
        return self._mounted("sudo", "-n")

    def _mounted_in_a_name_space(self):
        """Others see the disk below the root of the process that keeps the name space; with it, the disk goes."""
        script = f'mount -t tmpfs -o size={SIZE} tmpfs "$0" && echo mounted && exec cat'
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, self.place]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        keeper = subprocess.Popen(command, text=True, **pipes)
        if keeper.stdout.readline() != "mounted\n":
            return keeper.communicate()[1].partition("\n")[0]
        self.folder = pathlib.Path(f"/proc/{keeper.pid}/root{self.place}")
        self.unmount = keeper.communicate
        return None

    def fill(self):
        """Takes all that is left; the path of the file that holds it."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        return filler


def add_until_refused(cloud, in_a_row=1):
    """Adds products until the journal cannot grow any more; what the operator is told then.

    After a change that found no room the next one may find what was just let go of: the more of them are refused in a
    row, the less is left.
    """
    refused = 0
    for number in range(5000):
        name = f"product {number} {'x' * 60}"
        done = subprocess.run(
            [cloud.program, "product", "add", name, "--config", cloud.config],
            capture_output=True,
            text=True,
            timeout=60,
        )
        refused = 0 if done.returncode == 0 else refused + 1
        if refused == in_a_row:
            return done.stderr
    raise AssertionError("the disk never was full")


@check
def a_full_disk_is_named_and_the_cloud_goes_on_when_there_is_room(world):
    with SmallDisk() as disk, Cloud(world.cloud.program, data=disk.folder) as cloud:
        first = cloud.admin("product", "add", "before")
        filler = disk.fill()
        said = add_until_refused(cloud)
        expect("no space left" in said, f"the operator is told: {said}")
        head = raw_https(cloud, b"GET /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        expect(head.startswith(b"HTTP/1.1 401"), f"with a full disk the interface answers {head[:60]}")
        status, _, why = monitoring.ask(cloud, "/readyz")
        expect(status == 503 and "no space left" in why, f"with a full disk readiness is {status}: {why}")
        os.unlink(filler)
        # The cloud looks again at most once a second.
        time.sleep(1.1)
        expect(monitoring.ask(cloud, "/readyz")[0] == 200, "with room again the cloud is not ready")
        after = cloud.admin("product", "add", "after")
        expect(after["product_key"] != first["product_key"], "the product after the full disk is a new one")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")


@check
def with_a_full_disk_devices_and_clients_are_told_to_come_again(world):
    with SmallDisk() as disk, Cloud(world.cloud.program, data=disk.folder, private_receivers=True) as cloud:
        small = type(world)(cloud)
        small.link, _, _ = linking.link(small, small.client)
        client = libcoap.CLIENTS[0]
        known, waiting = small.add_device(), small.add_device()
        libcoap.publish(small, client, known)
        with Receiver(small) as receiver:
            steps = (
                ("an activation", lambda one: libcoap.request(small, client, *libcoap.activation(one))[0], devices(small), "2.04"),
                ("a publication", lambda one: said(libcoap.publish, small, client, one), devices(small), "2.04"),
                ("a new state", lambda one: said(libcoap.represent, small, client, known, one), states(), "2.04"),
                ("a subscription", lambda one: ask_to_subscribe(small, receiver, one), range(SUBJECTS), 201),
            )
            filler = disk.fill()
            refused = [until_refused(cloud, *step) for step in steps]
            with Session(cloud, waiting.identity(2), derive_key(waiting.secret)) as session:
                # Whoever comes in now has not to ask again: the cloud sees to it that what follows is kept.
                session.wait_until_open()
                os.unlink(filler)
                time.sleep(8)
                codes, _, _ = libcoap.exchange(small, client, *libcoap.activation(waiting), patience=3)
                expect(codes == [], f"the product's secret still opens a device that has its own: {codes}")
            for (what, step, _, good), one in zip(steps, refused):
                answer = step(one)
                expect(answer == good, f"with room again {what} is answered {answer}")
            came = receiver.wait(events_of(one), len(DEVICES))
            expect(sorted(one.kind for one in came) == sorted(DEVICES), f"told {[one.kind for one in came]}")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")


# A small change may still find room where a bigger one did not: it is then made, and the next one is tried. How many of a kind
# are ready for that.
SUBJECTS = 12


def devices(world):
    return [world.add_device() for _ in range(SUBJECTS)]


def states():
    return [{"state": True, "power": number} for number in range(SUBJECTS)]


def until_refused(cloud, what, step, subjects, good):
    """Takes a step for one subject after the other until one is told to come again; that one."""
    for subject in subjects:
        add_until_refused(cloud, in_a_row=3)
        answer = step(subject)
        if answer in ("5.03", 503):
            return subject
        expect(answer == good, f"with a full disk {what} is answered {answer}")
    raise AssertionError(f"with a full disk {what} never was refused")


def said(act, world, client, device, *more):
    """The code with which the cloud answers what `act` does for a device."""
    try:
        act(world, client, device, *more)
    except AssertionError as refused:
        return str(refused).rsplit(" ", 1)[-1]
    return "2.04"


def events_of(subject):
    return f"/events/full/{subject}"


def ask_to_subscribe(world, receiver, subject):
    body = {"eventsUrl": receiver.url + events_of(subject), "eventTypes": DEVICES, "signingSecret": "s" * 32}
    status, headers, _ = call(world, "POST", "/devices/subscriptions", json.dumps(body), Content_Type="application/json")
    expect((status == 503) == ("retry-after" in headers), f"{status} comes with {headers}")
    return status
