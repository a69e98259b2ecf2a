"""Answers that come as a form, carried in a URL: encrypted, for one client, for a minute."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.core.secrets import KeyRing
from crossauth_fastapi._oauth_client.formpost import FormPosts
from tests.support import SECRET


class Clock:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def posts(client: str = "one", clock: Clock | None = None) -> FormPosts:
    return FormPosts(KeyRing([SECRET], "form posts"), client, clock or Clock())


def test_only_what_the_flow_reads_is_carried() -> None:
    one = posts()
    text = one.close({"code": "c", "state": "s", "user": "{}", "id_token": "eyJ", "error": None})
    assert one.open(text) == {"code": "c", "state": "s"}
    assert "code" not in text


@pytest.mark.parametrize("form", [{"code": 5}, {"state": ["a"]}, {"code": {"a": 1}}, {"code": "x" * 5000}])
def test_what_is_no_such_form_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(CrossauthError) as refused:
        posts().close(form)
    assert refused.value.http_status in (400, 413)


def test_it_is_for_one_client_and_one_minute() -> None:
    clock = Clock()
    one = posts(clock=clock)
    text = one.close({"code": "c"})
    for bad in (text[:-4], "", "enc.a.b", "x"):
        with pytest.raises(CrossauthError):
            one.open(bad)
    with pytest.raises(CrossauthError):
        posts("two").open(text)
    clock.now += timedelta(seconds=61)
    with pytest.raises(CrossauthError):
        one.open(text)


def test_what_is_encrypted_for_something_else_is_none() -> None:
    ring = KeyRing([SECRET], "form posts")
    for text in (
        "[]",
        "{}",
        "null",
        '{"client": "one"}',
        '{"client": "one", "until": "x"}',
        '{"client": 1, "until": 9e9}',
    ):
        with pytest.raises(CrossauthError):
            FormPosts(ring, "one", Clock()).open(ring.encrypt(text))
