"""Floor 1: bodies in, replies out, cookies, errors, redirects."""
