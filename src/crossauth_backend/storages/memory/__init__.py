"""Storages in the memory of one process: for tests and for trying things out."""

from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_backend.storages.memory.options import InMemoryUserStorageOptions
from crossauth_backend.storages.memory.users import InMemoryUserStorage

__all__ = ["InMemoryKeyStorage", "InMemoryUserStorage", "InMemoryUserStorageOptions"]
