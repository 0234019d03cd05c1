"""What a device finds after a restart of the cloud; its own file, because the cloud's figures begin anew then."""

import time

from checks import check, expect
from cloud import derive_key
from dtls import Session
from registration import POST, given_id, status_of


@check
def a_device_that_stays_away_after_a_restart_is_offline_by_its_lifetime(world):
    device = world.add_device()
    with Session(world.cloud, device.identity(2, 30), derive_key(device.secret)) as session:
        session.wait_until_open()
        session.send(POST)
        expect(session.wait(lambda: status_of(world, given_id(device)) == "online", 10), "the device is not online")
        expect(world.cloud.stop() == 0, "the cloud did not stop in good order")
        world.cloud.start()
        began = time.monotonic()
        expect(status_of(world, given_id(device)) == "online", "a device that may still come back is offline")
        while status_of(world, given_id(device)) == "online":
            expect(time.monotonic() - began < 45, "a device that stays away is online for longer than its lifetime")
            time.sleep(0.5)
        expect(time.monotonic() - began > 28, "the device had no time to come back")
