"""OAuth 2.1 and OpenID Connect: what is common to client, authorization server and resource server."""
