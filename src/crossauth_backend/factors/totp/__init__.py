"""Codes from an authenticator application."""
