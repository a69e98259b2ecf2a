"""Floor 1: messages to users, by e-mail and by SMS."""
