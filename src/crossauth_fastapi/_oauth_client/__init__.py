"""The OAuth client: logins at other servers, the tokens they give, and what is done with these on the server."""
