"""The cloud's certificate changes while it runs; Python's ssl module looks at what new and open connections get."""

import shutil
import signal
import socket
import ssl
import time

from checks import check, expect
from receiver import certificate


def connect(world):
    context = ssl.create_default_context(cafile=world.cloud.ca)
    plain = socket.create_connection(("127.0.0.1", world.cloud.https_port), 10)
    return context.wrap_socket(plain, server_hostname="localhost")


def shown(world):
    """The certificate that a new connection is shown."""
    with connect(world) as connection:
        return connection.getpeercert(binary_form=True)


def ask(connection):
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"device-side-cloud\n"):
        chunk = connection.recv(65536)
        expect(chunk, f"the connection ended after {answer}")
        answer += chunk
    return answer.split(b"\r\n", 1)[0]


def reload(world, expected):
    """Tells the cloud to read its files again, and waits until its log has the words."""
    before = world.cloud.log.read_text().count(expected)
    world.cloud.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while world.cloud.log.read_text().count(expected) == before:
        expect(time.monotonic() < end, f"the log never said {expected!r}")
        time.sleep(0.05)


@check
def a_new_certificate_is_served_after_sighup_and_a_broken_one_is_not(world):
    folder = world.cloud.data / "ca"
    served, key = folder / "server.pem", folder / "server.key.pem"
    former = shown(world)
    with connect(world) as old:
        expect(b" 200 " in ask(old), "the first connection is not answered")
        served.write_text("no certificate")
        reload(world, "cannot be used")
        expect(shown(world) == former, "a broken file changed the certificate")
        fresh, fresh_key = certificate(world.cloud.path, folder, "renewed")
        shutil.copy(fresh, served)
        shutil.copy(fresh_key, key)
        reload(world, "were read again")
        expect(shown(world) == ssl.PEM_cert_to_DER_cert(fresh.read_text()), "new connections get another certificate")
        expect(b" 200 " in ask(old), "the connection that was open does not go on")
