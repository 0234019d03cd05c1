"""Backups made while a cloud runs, and other machines that begin with them."""

import contextlib
import json
import re
import shutil

import libcoap
import linking
from checks import check, expect
from cloud import Cloud, derive_key
from notifications import DEVICES, call, judge, lit, subscribe, turn, unsubscribe
from operators import add_user, as_user, known_to
from receiver import Receiver


@contextlib.contextmanager
def a_world_of_its_own(world):
    """A cloud with a lamp of alice's, and consents of alice's and of frank's."""
    with Cloud(world.cloud.program, private_receivers=True) as cloud:
        made = type(world)(cloud)
        made.lamp = made.add_device()
        made.published = [made.lamp.di]
        libcoap.publish(made, libcoap.CLIENTS[0], made.lamp)
        libcoap.represent(made, libcoap.CLIENTS[0], made.lamp)
        made.link, made.answer, made.verifier = linking.link(made, made.client)
        add_user(made, "frank")
        made.frank = as_user(made, "frank")
        try:
            yield made
        except BaseException:
            print("--- the log of the cloud with backups", cloud.log.read_text()[-20000:], sep="\n")
            raise


def back_up(world):
    """Adds a backup to the cloud's backup folder; its file name."""
    folder = world.cloud.path / "backups"
    made = world.cloud.admin("backup", str(folder))["backup"]
    expect(made.startswith(f"{folder}/"), f"the backup is {made}")
    return made.removeprefix(f"{folder}/")


def move(cloud, name, *choice):
    """Stops the cloud and goes on in new folders, as on a new machine, with a backup; what `restore` said."""
    expect(cloud.stop() == 0, "the cloud did not stop in good order")
    backups, former_ca, keys = cloud.path / "backups", cloud.ca, cloud.config.parent / "keys"
    machine = cloud.path / name
    (machine / "keys").mkdir(parents=True)
    for file in keys.iterdir():
        if file.is_file():
            shutil.copy(file, machine / "keys")
    text = cloud.config.read_text()
    cloud.data, cloud.config = machine / "data", machine / "cloud.toml"
    text = re.sub(r"(?m)^data_dir = .*", f'data_dir = "{cloud.data}"', text)
    # The development CA stays behind, and the receivers keep their certificates of it.
    text = re.sub(r"(?m)^trusted_roots = .*", f'trusted_roots = ["{former_ca}"]', text)
    cloud.config.write_text(text)
    said = cloud.admin("restore", str(backups), *choice)
    cloud.start()
    return said


def everything(world):
    """What alice's client sees of her devices, but for who is online."""
    seen = []
    for content in ("base", "all"):
        status, _, body = call(world, "GET", f"/devices?content={content}")
        expect(status == 200, f"listing the devices: {status} {body[:200]}")
        seen.append([(one["device"], one["links"]) for one in json.loads(body)])
    return seen


@check
def a_backup_of_a_running_cloud_is_a_new_machine_s_beginning(world):
    with a_world_of_its_own(world) as ours, Receiver(ours) as receiver:
        subscription = lit(ours, receiver)
        turn(ours, 51)
        receiver.wait(subscription.events, 2)
        ours.cloud.operate("user", "erase", "frank")
        back_up(ours)
        before = everything(ours)
        expect(any(ours.published[0] == device["di"] for device, _ in before[0]), f"before: {before}")

        said = move(ours.cloud, "new")
        expect(said["erased again"] == "0", f"restoring said {said}")
        after = everything(ours)
        expect(after == before, f"before {before}, and on the new machine {after}")
        # The device, its client, its subscription and what signs notifications are all still there.
        value = turn(ours, 52)
        came = receiver.wait(subscription.events, 3)
        judge(subscription, came)
        expect((came[-1].number, came[-1].content) == (2, value), f"told {came[-1]}")
        unsubscribe(ours, subscription)
        erased_is_gone(ours)
        add_user(ours, "frank")
        try:
            ours.cloud.run("restore", str(ours.cloud.path / "backups"))
        except RuntimeError as error:
            expect("was not restored" in str(error), str(error))
        else:
            raise AssertionError("a journal was replaced by a backup")


def secrets_of(world, subscription):
    """Everything that was told to one side alone, or is to be read by this cloud alone: what it is, and its bytes."""
    yield "a password", world.user.password
    yield "a password", "the password of frank"
    yield "a client's secret", world.client.secret
    yield "the product's secret", world.product["product_secret"]
    for device in (world.device, world.lamp):
        yield "a device's secret", device.secret
        yield "a device's key", derive_key(device.secret)
    yield "an authorization code", linking.of_answer(world.answer, "code")
    yield "a code verifier", world.verifier
    for link in (world.link, world.frank):
        yield "an access token", link.token["access_token"]
        yield "a refresh token", link.token["refresh_token"]
    yield "a signing secret", subscription.secret
    for file in (world.cloud.config.parent / "keys").iterdir():
        if file.is_file():
            yield f"the operator's {file.name}", file.read_bytes()


def files_with(folder, text):
    return [file for file in folder.rglob("*") if file.is_file() and text in file.read_bytes()]


@check
def data_and_backups_of_a_run_hold_none_of_its_secrets(world):
    with a_world_of_its_own(world) as ours, Receiver(ours) as receiver:
        subscription = lit(ours, receiver)
        back_up(ours)
        expect(ours.cloud.stop() == 0, "the cloud did not stop in good order")
        folders = (ours.cloud.data, ours.cloud.path / "backups")
        for folder in folders:
            # What is no secret is found, so that the search can be believed.
            expect(files_with(folder, ours.client.id.encode()), f"the client's id is not in {folder}")
        for what, secret in secrets_of(ours, subscription):
            secret = secret if isinstance(secret, bytes) else secret.encode()
            expect(len(secret) >= 16, f"{what} is too short to be looked for")
            found = [file for folder in folders for file in files_with(folder, secret)]
            expect(not found, f"{what} stands in {found}")
            expect(secret not in ours.cloud.log.read_bytes(), f"{what} stands in the log")


@check
def who_was_erased_after_a_backup_stays_erased_when_it_is_restored(world):
    with a_world_of_its_own(world) as ours, Receiver(ours) as receiver:
        kept, ours.link = ours.link, ours.frank
        try:
            subscription = subscribe(ours, receiver, "", DEVICES)
        finally:
            ours.link = kept
        receiver.wait(subscription.events, len(DEVICES))
        older = back_up(ours)
        ours.cloud.operate("user", "erase", "frank")
        told = receiver.wait(subscription.events, len(DEVICES) + 1)
        expect(told[-1].kind == "subscription_cancelled", f"told {told[-1]}")
        # Its data keys follow the cloud's.
        expect(back_up(ours) > older, "the later backup does not come later")

        said = move(ours.cloud, "new", "--name", older)
        expect(int(said["erased again"]) > 0, f"restoring said {said}")
        expect(ours.published[0] in known_to(ours, ours.link), "alice's lamp is gone")
        kept, ours.link = ours.link, ours.frank
        try:
            status, _, _ = call(ours, "GET", "/devices")
        finally:
            ours.link = kept
        expect(status == 401, f"an erased user's token is answered {status}")
        # The name and the hash of the password are not sealed and came back: the start of the cloud has erased them again.
        erased_is_gone(ours)
        expect(len(receiver.at(subscription.events)) == len(DEVICES) + 1, "an ended subscription told something")


def erased_is_gone(world):
    try:
        world.cloud.run("user", "export", "frank")
    except RuntimeError as error:
        expect("there is no user frank" in str(error), str(error))
    else:
        raise AssertionError("an erased user came back with the backup")
