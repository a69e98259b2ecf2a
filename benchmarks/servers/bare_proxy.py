"""A route that passes requests on by aiohttp, and does nothing else: what a proxy can be at best. BENCH_UPSTREAM is a URL."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

UPSTREAM = os.environ["BENCH_UPSTREAM"]
HEADERS = {"Authorization": "Bearer a-token"}
# Those of one connection, which are not passed on.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}
open_sessions: list[aiohttp.ClientSession] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(auto_decompress=False, read_bufsize=2**18) as session:
        open_sessions.append(session)
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/bff/{path:path}")
async def proxy(path: str, request: Request) -> StreamingResponse:
    answer = await open_sessions[0].get(f"{UPSTREAM}/{path}", headers=HEADERS)
    stored = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}

    async def body() -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.content.iter_any():
                yield chunk
        finally:
            answer.release()

    return StreamingResponse(body(), answer.status, stored)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
