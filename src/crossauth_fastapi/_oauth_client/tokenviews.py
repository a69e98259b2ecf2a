"""What a browser may be told of the tokens in its session. Pure.

Their claims, and whether there are any; a token itself only of the kinds that the application has named.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, Literal, TypeAlias, get_args

from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._oauth_client.decoded import decode_payload

Kind: TypeAlias = Literal["access_token", "refresh_token", "id_token"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


def token_of(tokens: TokenSet, kind: Kind) -> str | None:
    """A token; `None` where there is none of this kind."""
    token: str | None = getattr(tokens, kind)
    return token


def claims_of(tokens: TokenSet, kind: Kind, jwt_tokens: Collection[str]) -> dict[str, Any] | None:
    """The claims of a token: of the ID token those that were verified.

    Parameters:
        tokens: all of them.
        kind: which.
        jwt_tokens: the kinds that are decoded, by their names in the option.

    Returns:
        `None` for one that is no JWT, and where there is none.
    """
    if kind.removesuffix("_token") not in jwt_tokens:
        return None
    if kind == "id_token" and tokens.id_payload is not None:
        return dict(tokens.id_payload)
    return decode_payload(token_of(tokens, kind))


def one_token(tokens: TokenSet, kind: Kind, decode: bool, jwt_tokens: Collection[str]) -> dict[str, Any] | None:
    """What the endpoint of a kind says; it is there only where that kind has been named.

    Parameters:
        tokens: all of them.
        kind: which.
        decode: whether its claims are asked for, and not the token.
        jwt_tokens: the kinds that are decoded.

    Returns:
        The claims, or the token as `token`; `None` where there is none. An access token or ID token without claims has nothing to
        say; a refresh token without is given itself, for nothing else can be said of it.
    """
    token = token_of(tokens, kind)
    if token is None:
        return None
    claims = claims_of(tokens, kind, jwt_tokens) if decode else None
    if claims is not None:
        return claims
    return {"token": token} if not decode or kind == "refresh_token" else {}


def all_tokens(tokens: TokenSet, named: Collection[str], decode: bool, jwt_tokens: Collection[str]) -> dict[str, Any]:
    """What the endpoint of all tokens says: of each that there is its claims, or itself where it may be given.

    Parameters:
        tokens: all of them.
        named: the option `token_endpoints`.
        decode: whether their claims are asked for, and not the tokens.
        jwt_tokens: the kinds that are decoded.
    """
    told: dict[str, Any] = {}
    for kind in KINDS:
        token = token_of(tokens, kind)
        if token is not None:
            provided = not decode and kind in named
            told[kind] = token if provided else claims_of(tokens, kind, jwt_tokens)
        if f"have_{kind}" in named:
            told[f"have_{kind}"] = token is not None
    return told
