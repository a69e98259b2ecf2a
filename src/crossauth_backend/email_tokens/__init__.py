"""Floor 2: links that prove an email address."""
