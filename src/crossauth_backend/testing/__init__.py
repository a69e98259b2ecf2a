"""Contract suites for storages. An application that writes its own runs them on it:

    class TestMyKeys(KeyStorageContract):
        @pytest.fixture
        async def keys(self):
            yield MyKeyStorage(...)

They need pytest with pytest-asyncio in `auto` mode; nothing else here does.
"""

from crossauth_backend.testing.clock import FakeClock
from crossauth_backend.testing.key_storage import KeyStorageContract
from crossauth_backend.testing.user_storage import UserStorageContract

__all__ = ["FakeClock", "KeyStorageContract", "UserStorageContract"]
