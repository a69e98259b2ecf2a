"""Floor 3: the one door in."""
