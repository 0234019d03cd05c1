"""Runs the checks with outside peers: python run.py --cloud PATH/TO/device-side-cloud [NAME...]"""

import argparse
import contextlib
import dataclasses
import pathlib
import sys
import uuid

# The order of these imports is the order of the checks: curl uses what Authlib linked and libcoap published.
import dtls  # noqa: F401
import libcoap  # noqa: F401
import linking  # noqa: F401
import oauth_clients  # noqa: F401
import refusals  # noqa: F401
import pushed_and_bound  # noqa: F401
import device_flow  # noqa: F401
import browser  # noqa: F401
import api  # noqa: F401
import notifications  # noqa: F401
import registration  # noqa: F401
import descriptions  # noqa: F401
import tcp  # noqa: F401
import engine  # noqa: F401
import engines  # noqa: F401
import shards  # noqa: F401
import gnutls  # noqa: F401
import node  # noqa: F401
import tinydtls  # noqa: F401
import mbedtls  # noqa: F401
import servers  # noqa: F401
import operators  # noqa: F401
import restart  # noqa: F401
import posts  # noqa: F401
import backups  # noqa: F401
import keys  # noqa: F401
import quotas  # noqa: F401
import meta_schema  # noqa: F401
import bad_input  # noqa: F401
import certificates  # noqa: F401
import provisioning_certificates  # noqa: F401
import monitoring  # noqa: F401
import linking_secrets  # noqa: F401
import full_disk  # noqa: F401
import managed_integrations  # noqa: F401
import provisioning_mqtt  # noqa: F401
import provisioning_lwm2m  # noqa: F401
import provisioning_functions  # noqa: F401
import provisioning_cloud  # noqa: F401
import provisioning_management  # noqa: F401
import provisioning_migration  # noqa: F401
import provisioning_migration_files  # noqa: F401
import checks
from cloud import Cloud

# The exit status of a part of the gate that did not run whole.
SKIPPED = 77


@dataclasses.dataclass
class Device:
    product_key: str
    product_secret: str
    device_key: str
    secret: str
    di: str

    def identity(self, mode, lifetime=60):
        return f"{self.product_key},{self.device_key},{mode},{lifetime}"


@dataclasses.dataclass
class User:
    name: str
    password: str
    id: str = ""


@dataclasses.dataclass
class Client:
    id: str
    secret: str | None
    redirect_uri: str


class World:
    """What the checks share: the cloud, and what an operator has set up in it. `others` ends what else a check leaves running."""

    def __init__(self, cloud, others=None):
        self.cloud = cloud
        self.others = others
        self.on_engines = {}
        self.user = User("alice", "correct horse battery staple")
        self.user.id = cloud.admin("user", "add", self.user.name, stdin=self.user.password + "\n")["id"]
        self.product = cloud.add_until_typable("product_secret", "product", "add", "lamp", "--dynamic-activation")
        self.device = self.add_device()
        self.client = self.add_client("Another cloud", "https://client.example/callback")
        self.public_client = self.add_client("An app", "https://app.example/callback", "--public")
        self.published = []
        self.lamp = None    # the first device of `published`
        self.link = None

    def on(self, engine):
        """A world around a cloud with the named DTLS engine, the same one whenever it is asked for."""
        if engine not in self.on_engines:
            # What happens to a session is in the log.
            log = {"RUST_LOG": "info,device_side_cloud=debug"}
            cloud = Cloud(self.cloud.program, arguments=("--dtls", engine), environment=log)
            self.on_engines[engine] = World(self.others.enter_context(cloud))
        return self.on_engines[engine]

    def add_device(self):
        product_key = self.product["product_key"]
        return self.device_of(
            self.cloud.add_until_typable(
                "device_secret", "device", "add", "--product", product_key, "--owner", self.user.name
            )
        )

    def device_of(self, made):
        """A device of the product from the lines that `device add` printed."""
        product_key, product_secret = self.product["product_key"], self.product["product_secret"]
        return Device(product_key, product_secret, made["device_key"], made["device_secret"], str(uuid.uuid4()))

    def add_client(self, name, redirect_uri, *options):
        made = self.cloud.admin("client", "add", name, "--redirect-uri", redirect_uri, *options)
        return Client(made["client_id"], made.get("client_secret"), redirect_uri)


def main():
    parser = argparse.ArgumentParser(description="Checks with outside peers.")
    parser.add_argument("--cloud", type=pathlib.Path, required=True, help="the device-side-cloud program")
    parser.add_argument("names", nargs="*", help="only checks whose names contain one of these")
    arguments = parser.parse_args()
    # The receivers of notifications are on loopback, too.
    with Cloud(arguments.cloud.resolve(), private_receivers=True) as cloud, contextlib.ExitStack() as others:
        world = World(cloud, others)
        failed, skipped = checks.run(world, arguments.names)
        status = cloud.stop()
        if status != 0:
            print(f"the cloud ended with status {status}")
            failed += 1
        if failed:
            print("--- the cloud's log", cloud.log.read_text()[-20000:], sep="\n")
            for engine, inner in world.on_engines.items():
                print(f"--- the log of that on engine {engine}", inner.cloud.log.read_text()[-20000:], sep="\n")
    if failed:
        return 1
    if skipped:
        print(f"SKIPPED: {', '.join(skipped)} (see above); the other checks passed")
        return SKIPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
