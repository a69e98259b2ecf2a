"""Warnings that are said once in the life of a process, however many requests give reason for them."""

from __future__ import annotations

import logging
from functools import lru_cache


@lru_cache(maxsize=64)
def warn_once(logger: logging.Logger, text: str) -> None:
    """Log `text`, which must hold nothing that comes from a request, unless it was logged before."""
    logger.warning(text)
