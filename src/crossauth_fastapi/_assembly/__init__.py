"""Putting the servers of this package onto one application."""
