"""Authorization servers of which one set of metadata serves many tenants, each an issuer of its own.

Their metadata has `{tenantid}` where the tenant is in the issuer, and which tenant a token is of is known when it comes. The
tenants that are accepted are listed: without a list, everybody who has a tenant could log in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PLACEHOLDER: Final = "{tenantid}"
# What stands in the place of a tenant where all of them are meant.
_SHARED: Final = "common"
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")
_NO_TENANTS: Final = frozenset({"common", "organizations", "consumers"})


@dataclass(frozen=True, slots=True)
class Issuers:
    """Who may have issued a token.

    Parameters:
        published: what the metadata says of its issuer.
        discovery: the URL that the well-known paths are appended to.
        accepted: what `iss` may be.
    """

    published: str
    discovery: str
    accepted: tuple[str, ...]


def issuers(base_url: str, tenants: Sequence[str] | None) -> Issuers:
    """The issuers of a client.

    Parameters:
        base_url: of the authorization server; with tenants, it has `{tenantid}` where the tenant is.
        tenants: those that are accepted; `None` for a server that is one issuer.
    """
    if not tenants:
        return Issuers(base_url, base_url, (base_url,))
    accepted = tuple(base_url.replace(PLACEHOLDER, tenant) for tenant in tenants)
    if len(accepted) == 1:
        # With the metadata of a tenant's own, whoever is of another cannot even try.
        return Issuers(accepted[0], accepted[0], accepted)
    return Issuers(base_url, base_url.replace(PLACEHOLDER, _SHARED), accepted)


def is_tenant_list(tenants: Sequence[str]) -> bool:
    """Whether these can be tenants: `common` and its like, which stand for many, are none."""
    return len(set(tenants)) == len(tenants) and all(
        isinstance(tenant, str) and _TENANT.fullmatch(tenant) is not None and tenant.lower() not in _NO_TENANTS
        for tenant in tenants
    )
