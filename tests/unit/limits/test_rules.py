"""What may be tried how often, and by what it is counted."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.limits.manager import network_of
from crossauth_backend.limits.rules import DEFAULT_LIMITS, RULES, Limit, mailbox_of, read_limits


def test_the_defaults_are_those_of_the_table() -> None:
    assert read_limits({}) == DEFAULT_LIMITS
    assert set(DEFAULT_LIMITS) == set(RULES)
    assert all(limit.attempts > 0 and limit.seconds > 0 for limit in DEFAULT_LIMITS.values())
    assert all(rule.address for name, rule in RULES.items() if name.endswith("_address"))


@pytest.mark.parametrize("given", [(1, 2), [1, 2], Limit(1, 2)])
def test_one_is_changed_and_the_others_stay(given: Any) -> None:
    assert read_limits({"login_account": given}) == {**DEFAULT_LIMITS, "login_account": Limit(1, 2)}


def test_one_is_switched_off_by_name() -> None:
    assert set(read_limits({"login_account": None})) == set(DEFAULT_LIMITS) - {"login_account"}


@pytest.mark.parametrize("name", ["login_acount", "Login_account", "", "x"])
def test_a_name_that_is_none_is_said(name: str) -> None:
    with pytest.raises(CrossauthError, match=f"no limit '{name}'") as refused:
        read_limits({name: (1, 2)})
    assert refused.value.code is ErrorCode.Configuration


def test_the_nearest_name_is_said() -> None:
    with pytest.raises(CrossauthError, match="did you mean 'login_account'"):
        read_limits({"login_acount": None})


@pytest.mark.parametrize(
    "value", [5, (5,), (5, 6, 7), (0, 60), (5, 0), (-1, 60), (True, 60), (5.0, 60), ("5", 60), "56", {}, {1, 2}, ()]
)
def test_what_is_no_limit_is_refused(value: Any) -> None:
    with pytest.raises(CrossauthError, match="'login_account' must be"):
        read_limits({"login_account": value})


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"), ("fe80::1%eth0", "fe80::/64"), ("", ""), ("testclient", "testclient"),
        ("x" * 5000, "x" * 64), ("\ud800", "\ud800"),
    ],
)  # fmt: skip
def test_an_address_is_counted_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [("A+b@X.example", "a@x.example"), ("a+b+c@x.example", "a@x.example"), ("a@x.example", "a@x.example"),
     ("+@x.example", "@x.example"), ("no address", "no address"), ("", ""), ('"a@b"@x.example', '"a@b"@x.example')],
)  # fmt: skip
def test_messages_are_counted_by_the_mailbox(address: str, mailbox: str) -> None:
    assert mailbox_of(address) == mailbox
