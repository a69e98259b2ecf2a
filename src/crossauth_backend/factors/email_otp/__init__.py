"""Codes by e-mail."""
