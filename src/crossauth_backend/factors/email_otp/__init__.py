"""Codes by email."""
