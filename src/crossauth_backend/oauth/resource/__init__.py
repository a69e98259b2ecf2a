"""What a resource server does: verify access tokens, with keys from elsewhere or by asking the authorization server."""
