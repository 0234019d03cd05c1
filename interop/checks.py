"""A check is a function that takes the world and raises when something is not as it should be."""

import traceback

CHECKS = []


class Skipped(Exception):
    """Raised by a check that cannot run on this machine; the text says what it lacks."""


def check(function):
    """Registers a check; they run in the order of registration."""
    CHECKS.append(function)
    return function


def expect(condition, message):
    """`assert` with a message that says what was seen; not removed by -O."""
    if not condition:
        raise AssertionError(message)


def run(world, wanted):
    """Runs the checks whose names contain one of `wanted` (all when empty); how many failed, and the skipped ones' names."""
    chosen = [one for one in CHECKS if not wanted or any(name in one.__name__ for name in wanted)]
    failed, skipped = 0, []
    for one in chosen:
        try:
            one(world)
            print(f"check {one.__name__} ... ok", flush=True)
        except Skipped as lack:
            skipped.append(one.__name__)
            print(f"check {one.__name__} ... skipped: {lack}", flush=True)
        except Exception:
            failed += 1
            print(f"check {one.__name__} ... FAILED", flush=True)
            traceback.print_exc()
    passed = len(chosen) - failed - len(skipped)
    print(f"interop: {passed} passed, {failed} failed, {len(skipped)} skipped", flush=True)
    return failed, skipped
