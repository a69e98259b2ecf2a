"""The client of an authorization server: flows, tokens, providers."""
