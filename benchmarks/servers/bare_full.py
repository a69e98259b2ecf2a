"""Bare FastAPI in a process that has loaded what ours has: what the size of a process costs by itself.

As any application that has a database, templates and cryptography beside its routes.
"""

import ours
from bare import app

__all__ = ["app", "ours"]
