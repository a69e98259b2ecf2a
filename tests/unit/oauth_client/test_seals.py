"""What pages carry from one form to the next: of use in one browser, for one client, as one thing, for a time."""

from datetime import timedelta

import pytest

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing
from crossauth_fastapi._oauth_client.seals import Seals

SECRET = "a secret for tests, long enough to encrypt with"
NOW = utc_now()
SOON = NOW + timedelta(minutes=10)


def seals(client: str = "oauth at https://provider.example") -> Seals:
    return Seals(KeyRing([SECRET], "flows"), client)


def refusal(text: str, kind: str = "code", browser: str = "mark", by: Seals | None = None) -> CrossauthError:
    with pytest.raises(CrossauthError) as refused:
        (by or seals()).open(kind, text, browser, NOW)
    return refused.value


def test_what_was_sealed_is_read_and_cannot_be_seen() -> None:
    sealed = seals().seal("code", {"device_code": "secret-of-a-device"}, "mark", SOON)
    assert "secret-of-a-device" not in sealed
    assert seals().open("code", sealed, "mark", NOW) == {"device_code": "secret-of-a-device"}


@pytest.mark.parametrize("browser", ["", "another"])
def test_another_browser_can_do_nothing_with_it(browser: str) -> None:
    sealed = seals().seal("code", {}, "mark", SOON)
    assert refusal(sealed, browser=browser).code is ErrorCode.Forbidden


def test_without_a_mark_it_is_for_whoever_has_it() -> None:
    assert seals().open("code", seals().seal("code", {"a": 1}, "", SOON), "whatever", NOW) == {"a": 1}


def test_it_ends() -> None:
    assert refusal(seals().seal("code", {}, "mark", NOW)).code is ErrorCode.Expired


def test_it_is_of_no_use_as_something_else_or_for_another_client() -> None:
    sealed = seals().seal("code", {}, "mark", SOON)
    assert refusal(sealed, kind="factor").code is ErrorCode.BadRequest
    assert refusal(sealed, by=seals("oauth at https://other.example")).code is ErrorCode.BadRequest


@pytest.mark.parametrize("text", ["", "x", "enc.x.y", "enc..", "é" * 50, "a" * 100_000, "\ud800", "\x00"])
def test_anything_else_is_refused(text: str) -> None:
    assert refusal(text).code is ErrorCode.BadRequest


def test_a_changed_text_is_refused() -> None:
    sealed = seals().seal("code", {}, "mark", SOON)
    assert refusal(sealed[:-2] + ("AA" if sealed[-2:] != "AA" else "BB")).code is ErrorCode.BadRequest


def test_the_mark_of_a_browser_is_kept_by_a_cookie_of_its_own() -> None:
    mark, cookie = seals().new_browser(local=False)
    assert (cookie.name[:12], cookie.value) == ("__Host-FLOW-", mark)
    assert cookie.options["secure"] is cookie.options["httpOnly"] is True
    assert seals().new_browser(local=False)[0] != mark
    assert seals("another").new_browser(local=True)[1].name != seals().new_browser(local=True)[1].name
