"""What a type checker is to refuse: every line."""

from crossauth_fastapi import require

require(credentials=["cookie"])
require(fresh="10")
require(int)
require("orders")
require(scopes="orders")
