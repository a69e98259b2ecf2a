"""Contract suites for storages, a clock that stands still, and providers that can be told to misbehave.

An application that writes a storage of its own runs the suites on it:

    class TestMyKeys(KeyStorageContract):
        @pytest.fixture
        async def keys(self):
            yield MyKeyStorage(...)

They need pytest with pytest-asyncio in `auto` mode; nothing else here does.
"""

from crossauth_backend.testing.clock import FakeClock
from crossauth_backend.testing.fake_provider import FakeProvider
from crossauth_backend.testing.fake_provider_faults import ProviderFault
from crossauth_backend.testing.faults import Fault
from crossauth_backend.testing.identity_storage import IdentityStorageContract
from crossauth_backend.testing.key_storage import KeyStorageContract
from crossauth_backend.testing.provider import FakeIssuer
from crossauth_backend.testing.user_storage import UserStorageContract

__all__ = [
    "FakeClock",
    "FakeIssuer",
    "FakeProvider",
    "Fault",
    "IdentityStorageContract",
    "KeyStorageContract",
    "ProviderFault",
    "UserStorageContract",
]
