"""What the testing kit switches off is on again after the block, in whatever order blocks end and whatever is raised in them."""

from contextlib import ExitStack, suppress
from datetime import UTC, datetime

from fastapi.testclient import TestClient

from crossauth_backend import Outbox
from crossauth_backend.core.clock import utc_now
from crossauth_backend.limits.switch import limits_are_off
from crossauth_fastapi.testing import PASSWORD, captured_mail, create_user, frozen_clock, no_limits
from tests.support import CSRF, make_server

PAST, FUTURE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)


def test_blocks_that_end_in_the_wrong_order_leave_no_clock_behind() -> None:
    first, second = frozen_clock(PAST), frozen_clock(FUTURE)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert utc_now() == FUTURE
    second.__exit__(None, None, None)
    assert PAST < utc_now() < FUTURE


def test_the_same_clock_twice_is_given_back_twice() -> None:
    with frozen_clock(PAST):
        with suppress(KeyError), frozen_clock(PAST):
            raise KeyError
        assert utc_now() == PAST
    assert utc_now() != PAST


def test_limits_are_on_again_after_an_error() -> None:
    with suppress(KeyError), no_limits():
        raise KeyError
    assert not limits_are_off()


def test_blocks_that_end_in_the_wrong_order_let_mail_go_out_again() -> None:
    """Else an application would go on without sending any, and keep every code and link in a list."""
    outbox = Outbox()
    server = make_server(enable_password_reset=True, mailer=outbox, site_url="http://localhost:8000")
    create_user(server.app, "alice", PASSWORD, email="alice@example.com")

    def ask(client: TestClient) -> None:
        token = client.get("/api/getcsrftoken").json()["csrfToken"]
        answer = client.post("/api/requestpasswordreset", json={"email": "alice@example.com"}, headers={CSRF: token})
        assert answer.status_code == 200

    with TestClient(server.app, base_url="http://localhost:8000") as client, ExitStack() as left:
        first, second = captured_mail(client), captured_mail(client)
        one, two = first.__enter__(), second.__enter__()
        first.__exit__(None, None, None)
        ask(client)
        assert (len(one), len(two), len(outbox.sent)) == (0, 1, 0)
        second.__exit__(None, None, None)
        ask(client)
        left.close()
    assert (len(one), len(two), len(outbox.sent)) == (0, 1, 1)
