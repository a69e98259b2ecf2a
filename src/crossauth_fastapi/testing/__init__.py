"""Helpers for the tests of an application: users, logins, captured messages, a clock that stands still, a provider.

    user = create_user(app, "alice", email="alice@example.com")
    with client_for(app, user) as client:
        assert client.post("/orders").is_success

They make real users, sessions and tokens through the services that serve your application, so your tests run what your
application runs. Nothing here belongs into an application that is served, and nothing that is served imports it.
"""

from typing import Final

from crossauth_backend.testing.clock import FakeClock
from crossauth_backend.testing.fake_provider import FakeProvider
from crossauth_fastapi.testing.clients import aclient_for, client_for
from crossauth_fastapi.testing.logins import alogin_as, login_as
from crossauth_fastapi.testing.messages import CapturedMail, CapturedText, captured_mail, captured_texts
from crossauth_fastapi.testing.providers import alog_in_with, fake_provider, log_in_with
from crossauth_fastapi.testing.switches import cheap_passwords, frozen_clock, no_limits
from crossauth_fastapi.testing.tokens import issue_token
from crossauth_fastapi.testing.users import (
    PASSWORD,
    acreate_user,
    adelete_user,
    aset_up_totp,
    create_user,
    delete_user,
    set_up_totp,
    totp_code,
)

__all__: Final = [
    "PASSWORD",
    "CapturedMail",
    "CapturedText",
    "FakeClock",
    "FakeProvider",
    "aclient_for",
    "acreate_user",
    "adelete_user",
    "alog_in_with",
    "alogin_as",
    "aset_up_totp",
    "captured_mail",
    "captured_texts",
    "cheap_passwords",
    "client_for",
    "create_user",
    "delete_user",
    "fake_provider",
    "frozen_clock",
    "issue_token",
    "log_in_with",
    "login_as",
    "no_limits",
    "set_up_totp",
    "totp_code",
]
