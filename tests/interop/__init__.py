"""Tests against real OAuth peers."""
