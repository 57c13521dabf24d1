"""The one thread that waits for the disk."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

R = TypeVar("R")


class WriterThread(Generic[R]):
    """Does pieces of work one after the other, and hands each result back to the event loop.

    Leaner than an executor: a batch of records costs one hand-over each way.
    """

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._queue: SimpleQueue[tuple[asyncio.AbstractEventLoop, Callable[[], R], Callable[[R], None]] | None]
        self._queue = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], R], done: Callable[[R], None]) -> None:
        """Do ``work`` on the thread, then call ``done`` with its result on the running event loop. It must not raise."""
        self._queue.put((asyncio.get_running_loop(), work, done))

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            loop, work, done = item
            result = work()
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(done, result)

    def close(self) -> None:
        """Finish what was submitted and end the thread."""
        self._queue.put(None)
        self._thread.join()
