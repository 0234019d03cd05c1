"""A client that asks more often than the operator allows, and what the other clients notice of it: nothing."""

import time

import linking
from checks import check, expect
from cloud import Cloud
from notifications import call

PER_MINUTE = 60
BYTES_PER_MINUTE = 6000


@check
def a_client_that_asks_too_often_gets_429_until_it_has_waited_as_told(world):
    with Cloud(world.cloud.program, settings={"quotas.requests_per_minute": PER_MINUTE}) as cloud:
        ours = type(world)(cloud)
        greedy, _, _ = linking.link(ours, ours.client)
        modest, _, _ = linking.link(ours, ours.public_client)
        ours.link = greedy
        answers = []
        # What it may ask in a minute, and then what comes back while it asks.
        while not answers or answers[-1][0] == 200:
            answers.append(call(ours, "GET", "/devices"))
            expect(len(answers) < 10 * PER_MINUTE, f"{len(answers)} requests were answered")
        status, headers, body = answers[-1]
        expect(status == 429, f"request {len(answers)} is answered {status} {body[:200]}")
        expect(len(answers) > PER_MINUTE, f"request {len(answers)} was one too many")
        # One request a second comes back, so that the wait is a part of a second.
        expect(headers.get("retry-after") == "1" and body, f"over the quota there is {headers} {body}")
        ours.link = modest
        status, _, _ = call(ours, "GET", "/devices")
        expect(status == 200, f"another client is answered {status}")
        time.sleep(1)
        ours.link = greedy
        status, _, _ = call(ours, "GET", "/devices")
        expect(status == 200, f"after Retry-After the client is answered {status}")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")


@check
def a_client_that_sends_too_much_gets_429_until_it_has_waited_as_told(world):
    with Cloud(world.cloud.program, settings={"quotas.body_bytes_per_minute": BYTES_PER_MINUTE}) as cloud:
        ours = type(world)(cloud)
        ours.link, _, _ = linking.link(ours, ours.client)
        path, body = f"/devices/{ours.device.di}/light/1", '{"text":"' + "x" * (BYTES_PER_MINUTE - 200) + '"}'
        json = {"Content_Type": "application/json"}
        status, _, _ = call(ours, "POST", path, body, **json)
        expect(status == 404, f"a body within the quota is answered {status}")
        status, headers, _ = call(ours, "POST", path, body, **json)
        expect(status == 429 and 50 <= int(headers["retry-after"]) <= 60, f"one beyond it is answered {status} {headers}")
        status, _, _ = call(ours, "GET", "/devices")
        expect(status == 200, f"reading is answered {status}")
        # A hundred bytes come back in a second.
        time.sleep(1)
        status, _, _ = call(ours, "POST", path, '{"power":1}', **json)
        expect(status == 404, f"a short body is answered {status}")
        expect(cloud.stop() == 0, "the cloud did not stop in good order")
