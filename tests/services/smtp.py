"""A real SMTP server, with and without TLS."""

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from crossauth_backend.core.clock import utc_now
from tests.services.processes import free_port


class Mailbox:
    """What the server took. `refusals` are answers it gives first, one a message; `tried` are envelopes, refused or not."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.tried: list[tuple[str, list[str]]] = []
        self.refusals: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.tried.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
        if self.refusals:
            return self.refusals.pop(0)
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"

    def log_in(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1)).add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return paths


@contextmanager
def smtp_server(
    security: str = "none", files: tuple[Path, Path] | None = None, login: bool = False, *, utf8: bool = False,
    mailbox: Mailbox | None = None, port: int | None = None,
) -> Iterator[Any]:  # fmt: skip
    """Serve until the end of the block; yields the mailbox and the port. `utf8` is whether it has SMTPUTF8."""
    mailbox, port = mailbox or Mailbox(), port or free_port()
    options: dict[str, Any] = {}
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        options = {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    if login:
        # The server knows a connection that is TLS from the first byte as one without STARTTLS.
        options |= {"authenticator": mailbox.log_in, "auth_required": True, "auth_require_tls": security == "starttls"}
    controller = Controller(mailbox, hostname="localhost", port=port, enable_SMTPUTF8=utf8, **options)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()
