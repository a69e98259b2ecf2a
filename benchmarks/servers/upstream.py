"""The API behind the proxies, which believes any token: a small answer, 100 MB, and a stream of events."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse

CHUNK = b"x" * 2**16
CHUNKS = 100_000_000 // len(CHUNK)

app = FastAPI()


@app.get("/orders")
async def orders(authorization: str = Header("")) -> dict[str, str]:
    if not authorization.startswith("Bearer "):
        raise HTTPException(401)
    return {"username": "alice"}


@app.get("/download")
async def download() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    return StreamingResponse(chunks(), headers={"Content-Length": str(CHUNKS * len(CHUNK))})


@app.get("/events")
async def events() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"data: %d\n\n" % number
            await asyncio.sleep(1)

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
