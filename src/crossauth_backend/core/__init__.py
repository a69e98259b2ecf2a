"""Floor 0: what every room needs and nothing of what any room does."""
