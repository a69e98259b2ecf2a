"""Unit tests of the OAuth client."""
