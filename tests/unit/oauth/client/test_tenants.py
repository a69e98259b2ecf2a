import pytest

from crossauth_backend.oauth.client.tenants import Issuers, is_tenant_list, issuers

BASE = "https://login.example.com/{tenantid}/v2.0"


def test_a_server_that_is_one_issuer() -> None:
    url = "https://as.example.com"
    assert issuers(url, None) == Issuers(url, url, (url,))


def test_one_tenant_is_one_issuer() -> None:
    url = "https://login.example.com/one/v2.0"
    assert issuers(BASE, ["one"]) == Issuers(url, url, (url,))


def test_several_tenants() -> None:
    found = issuers(BASE, ["one", "two"])
    assert found.published == BASE
    assert found.discovery == "https://login.example.com/common/v2.0"
    assert found.accepted == ("https://login.example.com/one/v2.0", "https://login.example.com/two/v2.0")


@pytest.mark.parametrize(
    "tenants",
    [["common"], ["Organizations"], ["consumers"], ["a", "a"], ["a/b"], ["{tenantid}"], ["*"], [""], [1], ["a" * 101]],
)
def test_what_is_no_list_of_tenants(tenants: list[str]) -> None:
    assert not is_tenant_list(tenants)
    assert is_tenant_list(["contoso.onmicrosoft.com", "9188040d-6c67-4c5b-b112-36a304b66dad"])
