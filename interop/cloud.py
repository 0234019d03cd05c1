"""A device-side cloud in a temporary folder: configured, started, administered and stopped through its command line."""

import hashlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

PATIENCE = 30.0


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def derive_key(secret):
    """The 16-byte key that both ends derive from a secret: bytes 9 to 24 of its SHA-256."""
    return hashlib.sha256(secret.encode()).digest()[8:24]


def configured(sample, settings):
    """The sample with other values: `settings` has them as TOML by `section.key`, or by `key` for what stands before the sections."""
    lines, section, left = [], "", dict(settings)
    for line in sample.splitlines():
        if begins := re.fullmatch(r"\[(\w+)\]", line):
            section = begins[1] + "."
        elif set_here := re.match(r"(?:# )?(\w+) = ", line):
            name = section + set_here[1]
            if name in left:
                line = f"{set_here[1]} = {left.pop(name)}"
        lines.append(line)
    if left:
        raise RuntimeError(f"the sample configuration has no {sorted(left)}")
    return "\n".join(lines) + "\n"


class Cloud:
    """Use as a context manager; `with Cloud(program) as cloud`. `settings` are as `configured` takes them."""

    def __init__(self, program, data=None, private_receivers=False, arguments=(), environment=None, settings=None):
        self.program = program
        self.private_receivers = private_receivers
        self.arguments = arguments
        self.environment = {**os.environ, **(environment or {})}
        self.settings = settings or {}
        self.folder = tempfile.TemporaryDirectory(prefix="interop-")
        self.path = pathlib.Path(self.folder.name)
        self.config = self.path / "cloud.toml"
        self.data = data or self.path / "data"
        self.https_port = free_port(socket.SOCK_STREAM)
        self.coaps_port = free_port(socket.SOCK_DGRAM)
        self.monitoring_port = free_port(socket.SOCK_STREAM)
        self.url = f"https://localhost:{self.https_port}"
        self.log = self.path / "cloud.log"
        self.process = None

    def __enter__(self):
        subprocess.run([self.program, "init", self.path], check=True, stdout=subprocess.DEVNULL)
        settings = {
            "data_dir": f'"{self.data}"',
            "https.listen": f'"127.0.0.1:{self.https_port}"',
            "https.public_url": f'"{self.url}"',
            "coaps.listen": f'"127.0.0.1:{self.coaps_port}"',
            "monitoring.listen": f'"127.0.0.1:{self.monitoring_port}"',
            "notifications.allow_private_addresses": str(self.private_receivers).lower(),
        }
        self.config.write_text(configured(self.config.read_text(), {**settings, **self.settings}))
        self.start()
        return self

    def start(self):
        """Starts the program and waits until it listens."""
        with self.log.open("a") as log:
            begins = log.tell()
            self.process = subprocess.Popen(
                [self.program, "serve", "--config", self.config, *self.arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )
        self._wait_until_up(begins)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.folder.cleanup()

    def _wait_until_up(self, begins):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            # Not the port, which takes connections before the other doors are there.
            if b"device-side-cloud listening on" in self.log.read_bytes()[begins:]:
                return
            time.sleep(0.05)
        raise RuntimeError("the cloud did not come up:\n" + self.log.read_text())

    def stop(self):
        """Asks the cloud to stop, as a service manager would; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    @property
    def ca(self):
        return str(self.data / "ca" / "ca.pem")

    def admin(self, *arguments, stdin=None):
        """Runs an administrator's command that makes one thing; the lines `name: value` that it printed."""
        return dict(self.operate(*arguments, stdin=stdin))

    def operate(self, *arguments, stdin=None):
        """Runs an administrator's command; the names and values of all lines that it printed, in order."""
        lines = self.run(*arguments, stdin=stdin).splitlines()
        return [tuple(line.split(": ", 1)) for line in lines]

    def run(self, *arguments, stdin=None):
        """Runs an administrator's command; what it printed."""
        done = subprocess.run(
            [self.program, *arguments, "--config", self.config],
            input=stdin,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{arguments} failed: {done.stderr}")
        return done.stdout

    def add_until_typable(self, key_field, *arguments):
        """Repeats a command that makes a secret until its key can be typed: libcoap takes keys as C strings."""
        for _ in range(50):
            made = self.admin(*arguments)
            if b"\0" not in derive_key(made[key_field]):
                return made
        raise RuntimeError("no key without a zero byte in fifty attempts")
