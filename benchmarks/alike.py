"""Whether the time of an answer tells who has an account."""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

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


# Path, status of the answer, and the body for a name; by JSON with a CSRF token, or as forms and JSON without.
Kind: TypeAlias = tuple[str, int, Callable[[str], dict[str, Any]]]
SESSION_SERVER: dict[str, Kind] = {
    "a wrong password": ("/api/login", 401, lambda n: {"json": {"username": n, "password": f"{PASSWORD}!"}}),
    "a forgotten password": ("/api/requestpasswordreset", 200, lambda n: {"json": {"email": n}}),
}
ROUTES: dict[str, Kind] = {
    "a wrong password, by the routes": (
        "/auth/login", 400, lambda n: {"data": {"username": n, "password": f"{PASSWORD}!"}}),
    "a forgotten password, by the routes": ("/auth/forgot-password", 202, lambda n: {"json": {"email": n}}),
}  # fmt: skip


def measure(server: Server, count: int, kinds: dict[str, Kind]) -> list[Alike]:
    """`count` requests of each kind about a known name, and as many about others, in random order, one at a time."""
    found = []
    with client_of(server) as client:
        if kinds is SESSION_SERVER:
            client.headers[CSRF] = client.get("/api/getcsrftoken").json()["csrfToken"]
        for what, (path, status, body) in kinds.items():
            times: dict[bool, list[float]] = {True: [], False: []}
            order = [True, False] * count
            random.shuffle(order)
            for number, known in enumerate(order):
                name = "alice@example.com" if known else f"nobody{number:04}@example.com"
                began = time.perf_counter()
                answer = client.post(path, **body(name))
                times[known].append(1000 * (time.perf_counter() - began))
                assert answer.status_code == status, answer.text
                # What is done in the background must not be taken for part of the next answer.
                time.sleep(_PAUSE_SECONDS)
            found.append(Alike(f"{what}, {server.name}", *(statistics.median(times[known]) for known in (True, False))))
    return found
