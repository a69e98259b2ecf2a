"""FastAPI with nothing on it: what everything else is a share of."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/me")
async def me() -> dict[str, str]:
    return {"username": "alice"}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
