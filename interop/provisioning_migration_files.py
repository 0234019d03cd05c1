"""Devices that are moved between two clouds that do not reach each other: an operator carries files from one to the other.

paho-mqtt asks at the new cloud with the secret that the device has, and OpenSSL's s_client comes in there with it over DTLS-PSK. Python's
cbor2 and cryptography take files apart, and make others.
"""

import hashlib
import json
import secrets
import time

import cbor2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from checks import check, expect
from provisioning_migration import PATIENCE, TENANT, Movable, comes_in, die, movable, told


class Islands:
    """Two clouds, neither with an address of the other, and a folder for what goes between them."""

    def __init__(self, world):
        self.old, self.new = Movable(world), Movable(world)
        self.key, self.there, self.back = (secrets.token_hex(32) for _ in range(3))
        self.old.join("production", None, shows=self.there, sees=self.back, key=self.key)
        self.new.join("test", None, shows=self.back, sees=self.there, key=self.key)
        self.folder = self.old.cloud.path / "carried"
        self.folder.mkdir()
        self.files = []

    def enroll(self, device):
        """A device with an enrollment of its own that is at the old cloud, and its secret."""
        secret = secrets.token_hex(16)
        self.old.operate("create", "devices", device_id=device, access_point_id="here",
                         auth_info={"auth_type": "SECRET", "secret": secret})
        expect(asks(self.old, device, secret) == self.old.here["mqtt"], f"{device} is told of another place")
        expect(comes_in(self.old, device, secret), f"{device} is not let in")
        self.old.told.append(secret.encode())
        return secret

    def path(self, name):
        path = self.folder / name
        self.files.append(path)
        return path

    def export(self, device, path, *more, to="production"):
        return carry(self.old, "export", TENANT, device, "--to", to, "--out", path, *more)

    def take_receipt(self, path):
        return carry(self.old, "receipt", path)

    def carried(self, device, path, purpose, news, *more):
        """A file from the old cloud is imported at the new one, and the receipt is taken at the old one."""
        shown = self.export(device, path, *more)
        expect(shown["purpose"] == purpose and shown["path"] == str(path), shown)
        expect(shown["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest(), shown)
        return self.delivered(path, news, *more)

    def delivered(self, path, news, *more):
        receipt = self.path(f"{path.name}.receipt")
        shown = carry(self.new, "import", path, *more)
        expect((shown["news"], shown["path"]) == (news, str(receipt)), shown)
        for file in (path, receipt):
            expect(file.stat().st_mode & 0o777 == 0o600, f"{file} can be read by others")
        return self.take_receipt(receipt)


def carry(ours, command, *arguments):
    return json.loads(ours.cloud.run("provisioning", "migration", command, *map(str, arguments)))


def refused(ours, text, command, *arguments):
    """A command fails, with this in what it says, which names what to do."""
    try:
        shown = carry(ours, command, *arguments)
    except RuntimeError as error:
        expect(text in str(error), f"no {text!r} in {error}")
        return
    raise AssertionError(f"{command} was done: {shown}")


def asks(ours, device, secret):
    """Where the device is told to go, which asks over MQTT with its secret."""
    with ours.device(device, secret) as one:
        one.let_in()
        one.subscribe(one.down)
        return told(one)["address"]


def islands(world):
    """The two clouds, the same ones in every check."""
    if not hasattr(world, "islands"):
        world.islands = Islands(world)
    return world.islands


def gone(ours, device, secret):
    end = time.monotonic() + PATIENCE
    while comes_in(ours, device, secret):
        expect(time.monotonic() < end, f"{device} is still let in")
        time.sleep(0.1)


@check
def a_registration_goes_as_a_file_to_a_cloud_that_is_not_reached(world):
    both = islands(world)
    old, new, device = both.old, both.new, "lamp-11"
    secret = both.enroll(device)
    path = both.path("lamp.move")
    shown = both.carried(device, path, "registration", "accepted")
    expect(shown["stage"] == "prepared", shown)
    expect(comes_in(old, device, secret), "the old cloud has forgotten it before it was seen at the new one")
    # The file and the receipt once more say the same, and nothing happens twice.
    expect(both.delivered(path, "accepted", "--overwrite")["stage"] == "prepared", "it is taken twice")
    die(old)
    die(new)
    expect(asks(new, device, secret) == new.here["mqtt"], "told of another place")
    expect(comes_in(new, device, secret), "the new cloud does not let it in")
    # What was seen there is heard when the file is imported again.
    end = time.monotonic() + PATIENCE
    while carry(new, "import", path, "--overwrite")["news"] != "seen":
        expect(time.monotonic() < end, "it was not seen")
        time.sleep(0.1)
    expect(both.take_receipt(f"{path}.receipt")["stage"] in ("confirmed", "finished"), "it was not heard")
    old.wait_for(device, "finished")
    gone(old, device, secret)
    expect(comes_in(new, device, secret), "the new cloud does not let it in any more")
    # A late file or receipt moves nothing.
    expect(both.delivered(path, "seen", "--overwrite")["stage"] == "finished", "it was moved again")


@check
def a_file_is_for_one_cloud_and_says_what_is_wrong_with_it(world):
    both = islands(world)
    old, new, device = both.old, both.new, "settler-12"
    secret = old.settle(device)
    path = both.path("other.move")
    both.export(device, path)
    # Neither the cloud that wrote it nor a third one reads it.
    refused(old, 'carry it to the instance that is called "production"', "import", path)
    refused(movable(world), "for another instance", "import", path)
    refused(old, "no receipt", "receipt", path)
    refused(old, "there already", "export", TENANT, device, "--to", "production", "--out", path)
    refused(old, "names no", "export", TENANT, device, "--to", "nowhere", "--out", both.folder / "none")
    expect(not (both.folder / "none").exists(), "a file was written of nothing")
    whole = path.read_bytes()
    for place, text in ((3, "damaged"), (60, ""), (len(whole) // 2, "SHA-256"), (len(whole) - 1, "SHA-256")):
        damaged = both.path(f"damaged-{place}")
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused(new, text, "import", damaged)
        expect(not damaged.with_name(damaged.name + ".receipt").exists(), "a receipt for what is damaged")
    short = both.path("short")
    short.write_bytes(whole[:-20])
    refused(new, "SHA-256", "import", short)
    short.write_bytes(b"\0" * (1 << 20))
    refused(new, "too long", "import", short)
    expect(not comes_in(new, device, secret), "the new cloud took what is damaged")
    # Another key.
    key = new.cloud.path / "test.key"
    key.write_text(secrets.token_hex(32))
    restart(new)
    refused(new, "key_file", "import", path)
    key.write_text(both.key)
    restart(new)
    expect(both.delivered(path, "accepted")["stage"] == "prepared", "it was not taken")
    receipt = f"{path}.receipt"
    refused(new, "is a receipt", "import", receipt)
    refused(new, "this instance wrote the file", "receipt", receipt)
    refused(old, "there already", "export", TENANT, device, "--to", "production", "--out", receipt)


def taken_apart(path, key):
    """The head of a file and what is sealed in it, as its description says."""
    whole = path.read_bytes()
    expect(whole[:8] == b"dsc-mov\x01", "another form")
    length = 10 + int.from_bytes(whole[8:10], "big")
    about, nonce, sealed = whole[:length], whole[length : length + 12], whole[length + 12 :]
    return cbor2.loads(about[10:]), AESGCM(bytes.fromhex(key)).decrypt(nonce, sealed, about)


def put_together(path, head, plain, key):
    """A file that is properly sealed."""
    head, nonce = cbor2.dumps(head), secrets.token_bytes(12)
    about = b"dsc-mov\x01" + len(head).to_bytes(2, "big") + head
    path.write_bytes(about + nonce + AESGCM(bytes.fromhex(key)).encrypt(nonce, plain, about))
    return path


@check
def a_file_is_as_described_and_one_that_says_anything_else_is_refused(world):
    both = islands(world)
    new, device = both.new, "lamp-14"
    secret = both.enroll(device)
    path = both.path("described.move")
    shown = both.export(device, path)
    head, plain = taken_apart(path, both.key)
    ends = (bytes(head["sender"]), bytes(head["receiver"]))
    expect(ends == tuple(hashlib.sha256(text.encode()).digest() for text in (both.there, both.back)), head)
    expect((head["purpose"], head["tenant"], head["device"]) == ("registration", TENANT, device), head)
    expect(head["transfer"] == shown["transfer_id"] and 0 <= head["ends_at"] / 1000 - time.time() - 167 * 3600 <= 3600, head)
    # Its secret is sealed once more within.
    expect(device.encode() in plain and secret.encode() not in plain, "the secret stands in what is sealed")
    other = both.path("made.move")
    for members, inner, text in (
        ({"ends_at": 1}, plain, "the time of the transfer is over"),
        ({"device": "lamp-15"}, plain, "damaged"),
        ({"transfer": "0" * 32}, plain, "damaged"),
        ({"tenant": "other"}, plain, "none of the tenant other"),
        ({"purpose": "withdrawal"}, plain, "damaged"),
        ({"purpose": "receipt"}, b"\x03", "is a receipt"),
        ({"more": 1}, plain, "damaged"),
        ({}, plain[:-1], "damaged"),
    ):
        refused(new, text, "import", put_together(other, {**head, **members}, inner, both.key))
    refused(new, "key_file", "import", put_together(other, head, plain, secrets.token_hex(32)))
    expect(not comes_in(new, device, secret), "the new cloud took what was made up")
    # Of a receipt made of nothing the old cloud believes as little.
    back = {**head, "purpose": "receipt", "sender": head["receiver"], "receiver": head["sender"]}
    refused(both.old, "another release", "receipt", put_together(other, back, b"\x09", both.key))
    refused(both.old, "key_file", "receipt", put_together(other, back, b"\x03", secrets.token_hex(32)))
    expect(both.old.stage(device) == "begun", "it was believed")
    receipt = both.path("described.receipt")
    carry(new, "import", path, "--out", receipt)
    head, plain = taken_apart(receipt, both.key)
    expect((head, plain) == (back, b"\x01"), head)
    expect(both.take_receipt(receipt)["stage"] == "prepared", "it was not taken")


@check
def a_device_of_a_name_that_is_there_is_refused_in_the_receipt(world):
    both = islands(world)
    device = "lamp-16"
    secret = both.enroll(device)
    own = {"auth_type": "SECRET", "secret": secrets.token_hex(16)}
    both.new.operate("create", "devices", device_id=device, access_point_id="here", auth_info=own)
    shown = both.carried(device, both.path("refused.move"), "registration", "refused")
    expect((shown["stage"], shown["cause"]) == ("aborting", "refused"), shown)
    shown = both.carried(device, both.path("refused.back"), "withdrawal", "withdrawn")
    expect(shown["stage"] == "aborted", shown)
    expect(comes_in(both.old, device, secret), "the old cloud does not let it in")
    expect(asks(both.new, device, own["secret"]) == both.new.here["mqtt"], "the device that was there has gone")


@check
def a_transfer_by_files_is_taken_back_by_a_file_and_an_abort_is_ended_alone(world):
    both = islands(world)
    old, new, device = both.old, both.new, "settler-13"
    secret = old.settle(device)
    first = both.path("first.move")
    both.carried(device, first, "registration", "accepted")
    old.migration("abort", device)
    expect(old.stage(device) == "aborting", "nobody there has said a word")
    shown = both.carried(device, both.path("back.move"), "withdrawal", "withdrawn")
    expect(shown["stage"] == "aborted", shown)
    expect(comes_in(old, device, secret), "the old cloud does not let it in")
    gone(new, device, secret)
    # A registration that comes after its withdrawal is not taken.
    expect(carry(new, "import", first, "--overwrite")["news"] == "withdrawn", "it came after its withdrawal")
    # Of the next transfer nobody hears anything: the operator ends its abort.
    second = both.path("second.move")
    both.carried(device, second, "registration", "accepted")
    refused(old, "of the transfer", "receipt", both.folder / "first.move.receipt")
    refused(old, "abort the migration first", "abort", TENANT, device, "--without", "production")
    old.migration("abort", device)
    refused(old, "does not go to that instance", "abort", TENANT, device, "--without", "test")
    shown = carry(old, "abort", TENANT, device, "--without", "production")
    expect((shown["stage"], shown["ended_alone"]) == ("aborted", "unheard"), shown)
    die(old)
    expect(comes_in(old, device, secret), "the old cloud does not let it in")
    # The other cloud is there after all, and the device was there in the meantime.
    expect(comes_in(new, device, secret), "the new cloud does not let it in")
    shown = both.carried(device, both.path("late.move"), "withdrawal", "seen")
    expect((shown["stage"], shown["ended_alone"]) == ("aborted", "seen"), shown)
    expect(comes_in(old, device, secret), "a word that came late retired it")
    refused(old, "let-go", "export", TENANT, device, "--to", "production", "--out", both.folder / "none")
    old.migration("let-go", device)
    old.wait_for(device, "finished")
    gone(old, device, secret)
    expect(comes_in(new, device, secret), "nobody lets it in")


@check
def no_file_that_was_carried_holds_a_secret(world):
    both = islands(world)
    carried = [path.read_bytes() for path in both.files if path.exists()]
    expect(len(carried) > 5 and any(b"lamp-11" in file for file in carried), "what is no secret is not found either")
    ours = (both.key, both.there, both.back)
    known = [*both.old.told, *(text.encode() for text in ours), *(bytes.fromhex(text) for text in ours)]
    logs = [one.cloud.log.read_bytes() for one in (both.old, both.new)]
    for secret in known:
        expect(all(secret not in file for file in carried + logs), "a secret is written")


def restart(ours):
    expect(ours.cloud.stop() == 0, "the cloud did not stop in good order")
    ours.cloud.start()
