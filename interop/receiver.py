"""A client-side cloud's end of notifications, with Python's standard library alone: an HTTPS server that keeps what came."""

import dataclasses
import hashlib
import hmac
import http.server
import json
import ssl
import subprocess
import threading
import time

from checks import expect

PATIENCE = 20.0


@dataclasses.dataclass
class Notification:
    """One POST as it came; the headers are the raw texts of their values."""

    path: str
    headers: dict
    body: bytes
    arrived: float
    answered: int = 0

    def header(self, name):
        return self.headers.get(name.lower())

    @property
    def kind(self):
        return self.header("Event-Type")

    @property
    def number(self):
        return int(self.header("Sequence-Number"))

    @property
    def content(self):
        return json.loads(self.body)


def signature(secret, notification):
    """What Event-Signature must be: HMAC-SHA256 over five headers as they came, and the body."""
    names = ("Content-Type", "Event-Type", "Subscription-ID", "Sequence-Number", "Event-Timestamp")
    head = "".join((notification.header(name) or "") + ":" for name in names)
    return hmac.new(secret.encode(), head.encode() + notification.body, hashlib.sha256).hexdigest()


def certificate(folder, ca_folder, name):
    """A certificate for localhost that the cloud's development CA signs, made by OpenSSL: (chain, key)."""
    key, request, chain = (folder / f"{name}.{end}" for end in ("key.pem", "csr", "pem"))
    extension = folder / f"{name}.ext"
    extension.write_text("subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-days", "7", "-CA", ca_folder / "ca.pem", "-CAkey",
            ca_folder / "ca.key.pem", "-CAcreateserial", "-CAserial", folder / "serial", "-extfile", extension, "-out", chain)
    return chain, key


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30)
    expect(done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}")


class Receiver:
    """Use as a context manager. `decide(notification)` gives (status, headers) for each; 200 unless it says otherwise."""

    def __init__(self, world):
        chain, key = certificate(world.cloud.path, world.cloud.data / "ca", "receiver")
        self.came = []
        self.connections = 0
        self.decide = lambda _: (200, {})
        self.lock = threading.Condition()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        # The handshake belongs to the connection's own thread: one slow peer must not hold up the others.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self.server.server_port}"

    def _handler(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                """A connection begins; its requests follow."""
                super().setup()
                with receiver.lock:
                    receiver.connections += 1

            def do_POST(self):
                body = self._body()
                headers = {name.lower(): value for name, value in self.headers.items()}
                notification = Notification(self.path, headers, body, time.time())
                status, more = receiver.decide(notification)
                notification.answered = status
                self.send_response(status)
                for name, value in {"Content-Length": "0", **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                with receiver.lock:
                    receiver.came.append(notification)
                    receiver.lock.notify_all()

            def _body(self):
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_):
                pass

        return Handler

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def at(self, path):
        """What came to a path so far, in the order in which it came."""
        with self.lock:
            return [one for one in self.came if one.path == path]

    def wait(self, path, count, patience=PATIENCE):
        """Waits until `count` notifications came to a path; all that did."""
        end = time.monotonic() + patience
        with self.lock:
            while len(came := [one for one in self.came if one.path == path]) < count:
                left = end - time.monotonic()
                expect(left > 0, f"{len(came)} of {count} notifications came to {path}: {[one.kind for one in came]}")
                self.lock.wait(left)
        return came
