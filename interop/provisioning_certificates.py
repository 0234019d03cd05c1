"""Debian's openssl makes authorities, devices and requests, and checks every certificate and list that the cloud issues."""

import pathlib
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request

from checks import Skipped, check, expect

TENANT = "maker"

EXTENSIONS = """
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[narrow]
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
[device]
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
[server]
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
"""

KEYS = {
    "ec": ("EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "p384": ("EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "p521": ("EC", "-pkeyopt", "ec_paramgen_curve:P-521"),
    "ed25519": ("ED25519",),
    "rsa": ("RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "weak": ("RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
}


class Bench:
    """A folder in which openssl works."""

    def __init__(self, world):
        if shutil.which("openssl") is None:
            raise Skipped("there is no openssl")
        self.world = world
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="certificates-", dir=world.cloud.path))
        (self.folder / "extensions.cnf").write_text(EXTENSIONS)

    def __call__(self, *arguments, ok=True):
        done = subprocess.run(["openssl", *map(str, arguments)], cwd=self.folder, capture_output=True, text=True)
        expect(not ok or done.returncode == 0, f"openssl {arguments} failed: {done.stderr}")
        return done.stdout + done.stderr

    def key(self, name, kind):
        algorithm, *options = KEYS[kind]
        self("genpkey", "-algorithm", algorithm, *options, "-out", f"{name}.key")

    def request(self, name, subject, *options):
        self("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr", *options)
        return self.folder / f"{name}.csr"

    def root(self, name, kind="ec", subject=None):
        self.key(name, kind)
        constraints = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self("req", "-x509", "-new", "-key", f"{name}.key", "-subj", subject or f"/O=Maker/CN={name}", "-days", "90",
             "-out", f"{name}.pem", *constraints)
        return self.folder / f"{name}.pem"

    def sign(self, issuer, name, subject, section, kind="ec", *options):
        self.key(name, kind)
        self.request(name, subject)
        self("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-days", "30",
             "-extfile", "extensions.cnf", "-extensions", section, "-out", f"{name}.pem", *options)
        return self.folder / f"{name}.pem"

    def chain(self, *names):
        text = "".join((self.folder / f"{name}.pem").read_text() for name in names)
        path = self.folder / ("-".join(names) + ".chain.pem")
        path.write_text(text)
        return path

    def refused(self, words, *arguments, stdin=None):
        try:
            self.world.cloud.run(*arguments, stdin=stdin)
        except RuntimeError as error:
            expect(words in str(error), f"{arguments} was refused with other words: {error}")
        else:
            raise AssertionError(f"{arguments} was not refused")

    def enroll(self, ca):
        """Uploads an authority and proves its key."""
        admin = self.world.cloud.admin
        shown = admin("authority", "upload", TENANT, ca, self.folder / f"{ca}.pem")
        expect(shown["state"] == "unverified", shown)
        code = admin("authority", "code", TENANT, ca)["code"]
        proof = self.sign(ca, f"proof-{ca}", f"/CN={code}", "device")
        shown = admin("authority", "verify", TENANT, ca, proof)
        expect(shown["state"] in ("verified", "expiring"), shown)

    def check(self, *names):
        answer = self.world.cloud.admin("certificate", "check", TENANT, self.chain(*names))
        return answer["authority"], answer["device"]

    def list_of(self, issuer):
        """Fetches a list of revocations over HTTPS; its path, in PEM."""
        context = ssl.create_default_context(cafile=self.world.cloud.ca)
        url = f"{self.world.cloud.url}/certificates/{TENANT}/{issuer}.crl"
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            expect(answer.headers["content-type"] == "application/pkix-crl", answer.headers["content-type"])
            (self.folder / f"{issuer}.crl.der").write_bytes(answer.read())
        self("crl", "-inform", "DER", "-in", f"{issuer}.crl.der", "-out", f"{issuer}.crl")
        return self.folder / f"{issuer}.crl"


@check
def openssl_proves_that_it_has_the_key_of_an_authority(world):
    openssl = Bench(world)
    admin = world.cloud.admin
    for kind in ("ec", "p384", "ed25519", "rsa"):
        openssl.root(f"root-{kind}", kind)
        openssl.enroll(f"root-{kind}")
    openssl.root("claimed")
    openssl.root("claimed-by-another", subject="/O=Maker/CN=claimed")
    admin("authority", "upload", TENANT, "claimed", openssl.folder / "claimed.pem")
    code = admin("authority", "code", TENANT, "claimed")["code"]
    wrong = openssl.sign("claimed", "wrong", "/CN=wrong", "device")
    openssl.refused("another device", "authority", "verify", TENANT, "claimed", wrong)
    forged = openssl.sign("claimed-by-another", "forged", f"/CN={code}", "device")
    openssl.refused("signature is wrong", "authority", "verify", TENANT, "claimed", forged)
    expect(admin("authority", "show", TENANT, "claimed")["state"] == "challenged", "the code is gone")
    openssl.sign("claimed", "dev", "/CN=dev", "device")
    openssl.refused("may not be used", "certificate", "check", TENANT, openssl.chain("dev"))
    right = openssl.sign("claimed", "right", f"/CN={code}", "device")
    admin("authority", "verify", TENANT, "claimed", right)
    openssl.refused("no code is waiting", "authority", "verify", TENANT, "claimed", right)
    leaf = openssl.folder / "dev.pem"
    openssl.refused("not a certificate authority", "authority", "upload", TENANT, "leaf", leaf)
    openssl.root("weak-root", "weak")
    openssl.refused("weak", "authority", "upload", TENANT, "weak", openssl.folder / "weak-root.pem")


@check
def chains_of_openssl_are_followed_as_openssl_verifies_them(world):
    openssl = Bench(world)
    openssl.root("chains")
    openssl.enroll("chains")
    openssl.sign("chains", "upper", "/CN=upper", "ca")
    openssl.sign("upper", "lower", "/CN=lower", "narrow", "rsa")
    openssl.sign("lower", "dev", "/CN=dev-1", "device", "ed25519")
    openssl("verify", "-CAfile", "chains.pem", "-untrusted", openssl.chain("lower", "upper"), "dev.pem")
    expect(openssl.check("dev", "lower", "upper") == ("chains", "dev-1"), "the chain")
    expect(openssl.check("dev", "upper", "lower") == ("chains", "dev-1"), "the chain in another order")
    refused = lambda words, *names: openssl.refused(words, "certificate", "check", TENANT, openssl.chain(*names))
    refused("no enrolled authority", "dev")
    refused("no enrolled authority", "dev", "lower")
    refused("no enrolled authority", "dev", "upper")
    openssl.sign("lower", "too-deep", "/CN=too-deep", "ca")
    openssl.sign("too-deep", "deep", "/CN=deep", "device")
    refused("longer than", "deep", "too-deep", "lower", "upper")
    openssl.sign("dev", "below-dev", "/CN=below", "device")
    refused("not a certificate authority", "below-dev", "dev", "lower", "upper")
    openssl.sign("chains", "server", "/CN=server", "server")
    refused("not for this use", "server")
    refused("not a device", "upper")
    serial = openssl("x509", "-in", "dev.pem", "-noout", "-serial").strip().split("=")[1]
    fingerprint = openssl("x509", "-in", "dev.pem", "-noout", "-fingerprint", "-sha256").strip().split("=")[1]
    admin = world.cloud.admin
    # The number counts for what the authority itself issued, and this one is two steps down.
    admin("authority", "deny", TENANT, "chains", serial.lower())
    expect(openssl.check("dev", "lower", "upper") == ("chains", "dev-1"), "denied by another issuer's number")
    digits = fingerprint.replace(":", "").lower()
    admin("authority", "deny", TENANT, "chains", digits)
    refused("denied", "dev", "lower", "upper")
    admin("authority", "allow", TENANT, "chains", digits)
    expect(openssl.check("dev", "lower", "upper") == ("chains", "dev-1"), "allowed again")
    admin("authority", "revoke", TENANT, "chains")
    refused("may not be used", "dev", "lower", "upper")


@check
def requests_of_openssl_are_answered_with_certificates_that_openssl_verifies(world):
    openssl = Bench(world)
    admin = world.cloud.admin
    issuer = openssl.folder / "issuing.pem"
    admin("certificate", "issuer", TENANT, "issuing", "--out", issuer)
    admin("certificate", "profile", TENANT, "strict", "--days", "30", "--rsa")
    admin("certificate", "profile", TENANT, "curves", "--days", "30", "--overwrite")
    openssl("verify", "-CAfile", "issuing.pem", "issuing.pem")

    def issue(device, request, profile="strict"):
        out = openssl.folder / f"{device}.issued.pem"
        made = admin("certificate", "issue", TENANT, device, "--profile", profile, "--request", request, "--out", out)
        return made, out

    def verified(path, device):
        openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", issuer, path)
        text = openssl("x509", "-in", path, "-noout", "-text", "-nameopt", "RFC2253")
        expect(f"Subject: CN={device}\n" in text, text)
        expect("CA:FALSE" in text and "CA:TRUE" not in text, text)
        expect("TLS Web Client Authentication" in text and "Digital Signature" in text, text)
        expect(f"URI:{world.cloud.url}/certificates/{TENANT}/issuing.crl" in text, text)
        expect("Subject Alternative Name" not in text, text)

    for kind in ("ec", "p384", "ed25519", "rsa"):
        openssl.key(kind, kind)
        made, path = issue(f"dev-{kind}", openssl.request(kind, f"/CN=dev-{kind}"))
        verified(path, f"dev-{kind}")
        expect(openssl("x509", "-in", path, "-noout", "-pubkey") == openssl("pkey", "-in", f"{kind}.key", "-pubout"), kind)
        openssl.refused("denied", "certificate", "judge", TENANT, path)
        admin("certificate", "activate", TENANT, f"dev-{kind}", stdin=made["token"] + "\n")
        expect(admin("certificate", "judge", TENANT, path)["device"] == f"dev-{kind}", "the certificate of a device")
        openssl.refused("denied", "certificate", "activate", TENANT, f"dev-{kind}", stdin=made["token"] + "\n")

    def refused(words, device, request, profile="strict"):
        out = openssl.folder / "refused.pem"
        arguments = ("--profile", profile, "--request", request, "--out", out)
        openssl.refused(words, "certificate", "issue", TENANT, device, *arguments)
        expect(not out.exists(), "a refused request got a certificate")

    openssl.key("new", "ec")
    authority = openssl.request("new", "/CN=new", "-addext", "basicConstraints=critical,CA:TRUE")
    refused("asks for an authority", "new", authority)
    made, path = issue("new", authority, "curves")
    verified(path, "new")
    openssl.key("foreign", "ec")
    foreign = openssl.request("foreign", "/CN=another", "-addext", "subjectAltName=DNS:another.example")
    refused("names another device", "dev-foreign", foreign)
    made, path = issue("dev-foreign", foreign, "curves")
    verified(path, "dev-foreign")
    refused("belongs to another", "dev-thief", openssl.request("ec", "/CN=dev-thief"))
    refused("does not allow", "dev-rsa", openssl.request("rsa", "/CN=dev-rsa"), "curves")
    openssl.key("weak", "weak")
    refused("weak", "dev-weak", openssl.request("weak", "/CN=dev-weak"))
    openssl.key("p521", "p521")
    refused("not supported", "dev-p521", openssl.request("p521", "/CN=dev-p521"))
    openssl.key("bad", "ec")
    openssl("req", "-in", openssl.request("bad", "/CN=dev-bad"), "-outform", "DER", "-out", "bad.der")
    der = bytearray((openssl.folder / "bad.der").read_bytes())
    der[-1] ^= 1
    (openssl.folder / "bad.der").write_bytes(der)
    openssl("req", "-inform", "DER", "-in", "bad.der", "-out", "broken.csr")
    expect("fail" in openssl("req", "-in", "broken.csr", "-noout", "-verify", ok=False).lower(), "openssl takes it")
    refused("signature is wrong", "dev-bad", openssl.folder / "broken.csr")


@check
def a_key_made_by_the_cloud_fits_its_certificate_and_lists_of_revocations_are_what_openssl_checks(world):
    openssl = Bench(world)
    admin = world.cloud.admin
    issuer = openssl.folder / "revoking.pem"
    admin("certificate", "issuer", TENANT, "revoking", "--out", issuer)
    admin("certificate", "profile", TENANT, "made-here", "--days", "365", "--immediate")
    made = {}
    for device in ("made-1", "made-2"):
        key, path = openssl.folder / f"{device}.key", openssl.folder / f"{device}.pem"
        made[device] = admin("certificate", "issue", TENANT, device, "--profile", "made-here", "--private-key", key, "--out", path)
        expect("private_key" not in made[device] and key.stat().st_mode & 0o077 == 0, "the key is seen by others")
        expect(openssl("x509", "-in", path, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout"), device)
        log = world.cloud.log.read_text()
        expect(key.read_text().splitlines()[1] not in log, "the key is in the log")
        expect(admin("certificate", "judge", TENANT, path)["device"] == device, "not active at once")

    def checked(device):
        lists = ("-CRLfile", openssl.list_of("revoking"), "-crl_check")
        return openssl("verify", *lists, "-CAfile", issuer, f"{device}.pem", ok=False)

    for device in made:
        expect("OK" in checked(device), checked(device))
    text = openssl("crl", "-in", "revoking.crl", "-noout", "-text", "-CAfile", issuer)
    expect("No Revoked Certificates" in text and "verify OK" in text, text)
    admin("certificate", "revoke", TENANT, made["made-1"]["serial"], "--reason", "key-compromise")
    expect("revoked" in checked("made-1"), checked("made-1"))
    expect("OK" in checked("made-2"), checked("made-2"))
    text = openssl("crl", "-in", "revoking.crl", "-noout", "-text", "-CAfile", issuer)
    expect("Key Compromise" in text and "verify OK" in text and text.count("Serial Number:") == 1, text)
    openssl.refused("denied", "certificate", "judge", TENANT, openssl.folder / "made-1.pem")
    # Three for one device: the first is superseded, and listed.
    made_at = {}
    for number in (1, 2, 3):
        key, path = openssl.folder / f"renewed-{number}.key", openssl.folder / f"renewed-{number}.pem"
        arguments = ("--profile", "made-here", "--private-key", key, "--out", path)
        made_at[number] = admin("certificate", "issue", TENANT, "renewed", *arguments)["serial"]
    states = {row.split()[0]: row.split()[1] for _, row in world.cloud.operate("certificate", "show", TENANT, "renewed")}
    expect([states[made_at[number]] for number in (1, 2, 3)] == ["superseded", "active", "active"], states)
    expect("revoked" in checked("renewed-1") and "OK" in checked("renewed-3"), "what was superseded")
    context = ssl.create_default_context(cafile=world.cloud.ca)
    for path in ("nobody/revoking.crl", f"{TENANT}/nobody.crl", f"{TENANT}/revoking", "../revoking.crl"):
        try:
            urllib.request.urlopen(f"{world.cloud.url}/certificates/{path}", context=context, timeout=10)
        except urllib.error.HTTPError as error:
            expect(error.code == 404, f"{path}: {error.code}")
        else:
            raise AssertionError(f"{path} was answered")
    world.cloud.stop()
    world.cloud.start()
    expect(admin("certificate", "judge", TENANT, openssl.folder / "made-2.pem")["device"] == "made-2", "after a restart")
    expect("revoked" in checked("made-1") and "OK" in checked("made-2"), "after a restart")
