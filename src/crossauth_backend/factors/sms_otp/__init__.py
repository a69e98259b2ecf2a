"""Codes by text message."""
