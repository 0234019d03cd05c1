"""What an operator's tools see: health, readiness, and figures that Prometheus' own parser reads."""

import http.client
import json

from prometheus_client.parser import text_string_to_metric_families

from bad_input import raw_https
from checks import check, expect
from cloud import Cloud


def ask(cloud, path, method="GET"):
    """One request to the monitoring listener: (status, content type, text)."""
    connection = http.client.HTTPConnection("127.0.0.1", cloud.monitoring_port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def figures(cloud):
    """All samples of a scrape: {name: [(labels, value)]}."""
    status, kind, text = ask(cloud, "/metrics")
    expect(status == 200 and kind.startswith("text/plain; version=0.0.4"), f"{status} {kind}")
    samples = {}
    for family in text_string_to_metric_families(text):
        expect(family.documentation and family.type in ("counter", "gauge", "histogram"), f"{family}")
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return text, samples


def total(samples, name, **labels):
    return sum(value for found, value in samples[name] if labels.items() <= found.items())


@check
def a_running_cloud_is_alive_and_ready(world):
    expect(ask(world.cloud, "/healthz")[::2] == (200, "alive\n"), f"{ask(world.cloud, '/healthz')}")
    expect(ask(world.cloud, "/readyz")[::2] == (200, "ready\n"), f"{ask(world.cloud, '/readyz')}")
    expect(ask(world.cloud, "/")[0] == 404, "the root is there")
    expect(ask(world.cloud, "/metrics", "POST")[0] == 405, "figures can be posted")
    for path in (b"/metrics", b"/readyz", b"/healthz"):
        head = raw_https(world.cloud, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        expect(head.startswith(b"HTTP/1.1 404"), f"the public listener answers {path} with {head[:40]}")


@check
def figures_are_those_of_what_happened_and_hold_no_id(world):
    text, samples = figures(world.cloud)
    requests = "device_cloud_requests_total"
    expect(total(samples, requests, route="/api/v1/devices", status="200") > 0, "nobody listed the devices")
    expect(total(samples, requests, route="/api/v1/devices", status="401") > 0, "nobody was refused")
    expect(total(samples, requests) == total(samples, "device_cloud_request_seconds_count"), "requests and times differ")
    expect(total(samples, "device_cloud_deliveries_total", outcome="delivered") > 0, "nothing was delivered")
    expect(total(samples, "device_cloud_deliveries_total", outcome="gone") > 0, "no receiver answered 410")
    expect(total(samples, "device_cloud_deliveries_total", outcome="failed") > 0, "no receiver answered 503")
    expect(total(samples, "device_cloud_append_seconds_count", outcome="done") > 0, "nothing was appended")
    expect(total(samples, "device_cloud_append_seconds_sum") > 0, "appending took no time at all")
    expect(total(samples, "device_cloud_dtls_handshakes_total", outcome="established") > 0, "no device came in")
    expect(total(samples, "device_cloud_dtls_identities_total", outcome="unknown") > 0, "nobody unknown came")
    refused = {found["what"] for found, _ in samples["device_cloud_coap_refused_total"]}
    expect(refused == {"hello", "handshake", "session", "reset", "message", "datagram"}, f"refused: {refused}")
    expect({found["what"] for found, _ in samples["device_cloud_coap_forgotten_total"]} == {"message", "session"}, "forgotten")
    expect(total(samples, "device_cloud_subscriptions_ended_total", cause="unsubscribed") > 0, "nobody unsubscribed")
    expect({found["queue"] for found, _ in samples["device_cloud_queue_depth"]} == {"cloud", "gateway", "devices"}, "queues")
    token = world.link.token
    for name, word in (
        ("the user's name", world.user.name),
        ("the user's id", world.user.id),
        ("a device id", world.published[0]),
        ("a device key", world.lamp.device_key),
        ("a product key", world.product["product_key"]),
        ("a client id", world.client.id),
        ("an access token", token["access_token"]),
        ("a refresh token", token["refresh_token"]),
        ("an address", "127.0.0.1"),
        ("an href", "light"),
    ):
        expect(word not in text, f"the figures hold {name}: {word}")


@check
def a_json_log_names_requests_and_holds_no_secret(world):
    environment = {"RUST_LOG": "device_side_cloud=debug"}
    with Cloud(world.cloud.program, arguments=["--log-format", "json"], environment=environment) as cloud:
        request = "GET /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n"
        token = world.link.token["access_token"]
        head = raw_https(cloud, request.format(token).encode())
        expect(head.startswith(b"HTTP/1.1 401"), f"another cloud's token is answered {head[:40]}")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")
        text = cloud.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if not line.startswith("device-side-cloud listening")]
    answered = [line for line in lines if line["fields"].get("message") == "answered"]
    expect(len(answered) == 1 and answered[0]["fields"]["status"] == 401, f"answered: {answered}")
    span = answered[0]["span"]
    expect(span["name"] == "request" and span["route"] == "/api/v1/devices", f"the span is {span}")
    expect(isinstance(span["number"], int) and span["method"] == "GET", f"the span is {span}")
    expect(token not in text, "the log holds an access token")
