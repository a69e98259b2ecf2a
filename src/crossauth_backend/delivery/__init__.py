"""Floor 1: messages to users, by email and by SMS."""
