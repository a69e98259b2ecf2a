"""What a type checker is to refuse: every line."""

from crossauth_fastapi import FastApiServer, require

require(credentials=["cookie"])
require(fresh="10")
require(int)
require("orders")
require(scopes="orders")
FastApiServer({}, {"login_paeg": "login.html"})
FastApiServer({}, {"token_prefix": 5})
FastApiServer({"sesion": {}})
