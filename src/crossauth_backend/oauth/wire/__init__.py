"""Parameters, responses and errors as they travel between client, authorization server and resource server."""
