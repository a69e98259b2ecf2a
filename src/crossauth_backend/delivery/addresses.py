"""Email addresses as they travel."""

from __future__ import annotations

from email.utils import parseaddr

import idna

from crossauth_backend.delivery.mailer import DeliveryRefused


def on_the_wire(address: str) -> str:
    """`address` with its domain in ASCII (punycode, RFC 5891), which every server takes.

    An address with letters beyond ASCII before the `@` needs a server with SMTPUTF8 all the same (RFC 6531 §3.2).

    Raises:
        DeliveryRefused: where there is no such domain.
    """
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError as e:
        raise DeliveryRefused("address", "the domain of the address is not valid") from e


def parse_sender(sender: str) -> tuple[str, str]:
    """Name and address of `Shop <shop@example.com>`, or of an address alone; the address is empty where there is none."""
    name, address = parseaddr(sender)
    return name, address if "@" in address.strip("@") else ""


def mailbox(name: str, address: str) -> str:
    """The value of a From header (RFC 5322 §3.4)."""
    if not name:
        return address
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'
