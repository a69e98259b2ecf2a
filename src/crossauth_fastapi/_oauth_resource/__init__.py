"""The resource server: who is asking, by an access token, and which routes need one."""
