"""Codes from an authenticator app."""
