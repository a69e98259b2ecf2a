"""Floor 2: how often something may be tried."""
