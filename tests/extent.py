"""How far tests go that could go on for as long as one likes: `make test` is over soon, `make test-long` goes further."""

import os


def extent(short: int, long: int) -> int:
    """How many steps, requests or examples a test takes: `long` where the environment has TEST_LONG."""
    return long if os.environ.get("TEST_LONG") else short
