"""A second factor for tests."""
