"""Applications under a real uvicorn."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    """One that notices at once that it is to stop: there are very many of them here."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.01)


@contextmanager
def serve(app: Any, port: int = 0, **settings: Any) -> Iterator[str]:
    """Run `app` under uvicorn in a thread, with further settings of its own; yields its URL."""
    listener = socket.create_server(("127.0.0.1", port))
    # asyncio does this for sockets that it opened itself; without it every answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = Server(uvicorn.Config(app, log_level="warning", lifespan="on", **settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the application did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@asynccontextmanager
async def serve_beside(app: Any, **settings: Any) -> AsyncIterator[str]:
    """As `serve`, for what needs an answer of the test's own event loop until its end, of an authorization server there."""
    served = serve(app, **settings)
    url = await asyncio.to_thread(served.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(served.__exit__, None, None, None)
