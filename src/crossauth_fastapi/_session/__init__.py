"""Floor 4: the session server's endpoints and its way of knowing who is asking."""
