"""How much of a bare FastAPI application is left when it knows who is asking. See RESULTS.md."""
