"""Whether the time of an answer tells who has an account."""

import random
import statistics
import time
from typing import NamedTuple

from benchmarks.enter import CSRF, PASSWORD, client_of
from benchmarks.measure import Server

MOST = 1.1
_PAUSE_SECONDS = 0.02


class Alike(NamedTuple):
    """Median milliseconds of an answer about an account that exists, and about one that does not."""

    what: str
    known: float
    unknown: float

    @property
    def ratio(self) -> float:
        """The slower by the faster."""
        return max(self.known, self.unknown) / min(self.known, self.unknown)


def measure(server: Server, count: int) -> list[Alike]:
    """Wrong passwords and forgotten ones, `count` of each kind, in random order, one at a time."""
    kinds = {
        "a wrong password": ("/api/login", 401, lambda name: {"username": name, "password": f"{PASSWORD}!"}),
        "a forgotten password": ("/api/requestpasswordreset", 200, lambda name: {"email": name}),
    }
    found = []
    with client_of(server) as client:
        token = client.get("/api/getcsrftoken").json()["csrfToken"]
        for what, (path, status, fields) in kinds.items():
            times: dict[bool, list[float]] = {True: [], False: []}
            order = [True, False] * count
            random.shuffle(order)
            for number, known in enumerate(order):
                name = "alice@example.com" if known else f"nobody{number:04}@example.com"
                began = time.perf_counter()
                answer = client.post(path, json=fields(name), headers={CSRF: token})
                times[known].append(1000 * (time.perf_counter() - began))
                assert answer.status_code == status, answer.text
                # What is done in the background must not be taken for part of the next answer.
                time.sleep(_PAUSE_SECONDS)
            found.append(Alike(f"{what}, {server.name}", *(statistics.median(times[known]) for known in (True, False))))
    return found
