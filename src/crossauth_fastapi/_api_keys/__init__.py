"""API keys: who is asking, by a key in the `Authorization` header."""
