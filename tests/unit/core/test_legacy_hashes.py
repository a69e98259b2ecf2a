"""Password hashes that others made: verified as they were made, bounded, and refused where they are damaged."""

import base64
import hashlib

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.legacy_hashes import verify_legacy

PASSWORD = "Correct1horse é"


def adapted(raw: bytes) -> str:
    """passlib's base64."""
    return base64.b64encode(raw).decode().rstrip("=").replace("+", ".")


def colons(
    password: str = PASSWORD, *, salt: str = "salt", secret: bool = False, iterations: int = 5, digest: str = "sha256"
) -> str:
    salted = f"{salt}!pepper" if secret else salt
    raw = hashlib.pbkdf2_hmac(digest, password.encode(), salted.encode(), iterations, 32)
    hashed = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return f"pbkdf2:{digest}:32:{iterations}:{int(secret)}:{salt}:{hashed}"


def phc(password: str = PASSWORD) -> str:
    raw = hashlib.pbkdf2_hmac("sha512", password.encode(), b"s\xfb\xefalt", 7, 64)
    return f"$pbkdf2-sha512$7${adapted(b's' + bytes([0xFB, 0xEF]) + b'alt')}${adapted(raw)}"


def scrypt(password: str = PASSWORD) -> str:
    raw = hashlib.scrypt(password.encode(), salt=b"salt", n=16, r=8, p=1, dklen=32)
    return f"$scrypt$ln=4,r=8,p=1${adapted(b'salt')}${adapted(raw)}"


@pytest.mark.parametrize("encoded", [colons(), colons(digest="sha512"), phc(), scrypt()])
def test_the_right_password_fits_and_no_other(encoded: str) -> None:
    assert verify_legacy(PASSWORD, encoded)
    for other in (PASSWORD[:-1], PASSWORD.lower(), "", PASSWORD + " "):
        assert not verify_legacy(other, encoded)


def test_one_that_was_made_with_a_secret_needs_it() -> None:
    encoded = colons(secret=True)
    assert verify_legacy(PASSWORD, encoded, "pepper")
    assert not verify_legacy(PASSWORD, encoded, "salt")
    with pytest.raises(CrossauthError, match="secret") as refused:
        verify_legacy(PASSWORD, encoded)
    assert refused.value.code is ErrorCode.Configuration
    assert verify_legacy(PASSWORD, colons(), "pepper"), "one without does not use it"


def test_bcrypt() -> None:
    bcrypt = pytest.importorskip("bcrypt")
    encoded = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    for mark in ("$2a$", "$2b$", "$2y$"):
        assert verify_legacy(PASSWORD, mark + encoded[4:])
    assert not verify_legacy("another", encoded)
    long = "x" * 100
    assert verify_legacy(long + "y", bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode())


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "plain",
        "$argon2id$x",
        "md5:1",
        "pbkdf2:",
        "pbkdf2:sha256:32:5:0:salt",
        "pbkdf2:sha256:31:5:0:salt:" + colons()[-43:],
        colons().replace(":5:", ":0:"),
        colons().replace(":5:", ":-1:"),
        colons().replace(":5:", ":99999999999:"),
        colons().replace("sha256", "nosuch"),
        colons()[:-1] + "!",
        "$pbkdf2-sha512$7$*$*",
        "$pbkdf2-sha512$7",
        "$scrypt$",
        "$scrypt$ln=4$x$y",
        scrypt().replace("ln=4", "ln=4000000000"),
        scrypt().replace("r=8", "r=99999999"),
        scrypt().replace("p=1", "p=17"),
        scrypt().replace("p=1", "p=0"),
        scrypt().replace("ln=4", "ln=x"),
    ],
)
def test_a_damaged_or_costly_hash_is_refused(encoded: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        verify_legacy(PASSWORD, encoded)
    assert refused.value.code is ErrorCode.InvalidHash
    assert encoded[:10] not in refused.value.message or not encoded
