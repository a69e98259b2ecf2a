"""Floor 2: links that prove an e-mail address."""
