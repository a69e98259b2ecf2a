"""E-mail addresses as they travel."""

from email import policy
from email.parser import Parser

import pytest

from crossauth_backend.delivery.addresses import mailbox, on_the_wire, parse_sender
from crossauth_backend.delivery.mailer import DeliveryRefused


@pytest.mark.parametrize(
    ("address", "wire"),
    [("a@example.com", "a@example.com"), ("a@bücher.example", "a@xn--bcher-kva.example"), ("é@example.com", "é@example.com"),
     ("a@BÜCHER.example", "a@xn--bcher-kva.example"), ('"x@y"@bücher.example', '"x@y"@xn--bcher-kva.example')],
)  # fmt: skip
def test_a_domain_travels_in_ascii(address: str, wire: str) -> None:
    assert on_the_wire(address) == wire


@pytest.mark.parametrize(
    "address", ["a@é..example", "a@\ud800.example", "a@" + "é" * 100 + ".example", "a@\u200b.example"]
)
def test_a_domain_that_cannot_be_is_refused(address: str) -> None:
    with pytest.raises(DeliveryRefused):
        on_the_wire(address)


@pytest.mark.parametrize(
    ("sender", "parsed"),
    [("Shop <shop@example.com>", ("Shop", "shop@example.com")), ("shop@example.com", ("", "shop@example.com")),
     ('"A, B" <a@example.com>', ("A, B", "a@example.com")), ("Shop", ("", "")), ("", ("", "")), ("Shop <>", ("Shop", ""))],
)  # fmt: skip
def test_a_sender_is_read(sender: str, parsed: tuple[str, str]) -> None:
    assert parse_sender(sender) == parsed


@pytest.mark.parametrize("name", ["Shop", 'The "best" shop', "A, B; C", "back\\slash", "a <x@y.example>"])
def test_a_name_stays_a_name(name: str) -> None:
    message = Parser(policy=policy.default).parsestr(f"From: {mailbox(name, 'shop@example.com')}\n\n")
    (address,) = message["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "shop@example.com")
    assert mailbox("", "a@example.com") == "a@example.com"
