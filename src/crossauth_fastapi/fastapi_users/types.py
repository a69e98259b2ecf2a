"""Types of arguments."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from typing import Any, TypeAlias, TypeVar

RETURN_TYPE = TypeVar("RETURN_TYPE")

DependencyCallable: TypeAlias = Callable[
    ...,
    RETURN_TYPE
    | Coroutine[Any, Any, RETURN_TYPE]
    | AsyncGenerator[RETURN_TYPE, None]
    | Generator[RETURN_TYPE, None, None]
    | AsyncIterator[RETURN_TYPE],
]
