"""One application for each server that is measured; each runs in an environment of its own."""
