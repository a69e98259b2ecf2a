"""The local password."""
