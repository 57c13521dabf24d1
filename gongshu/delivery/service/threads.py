"""Threads beside the event loop for kinds that take longer, with a queue that has an end."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

THREADS_MAX = 4
WAITING_MAX = 64
"""Calls that run or wait at once; the next one is turned away with Retry-After before memory grows."""


class Threads:
    """Runs work in a few threads; ``run`` returns ``None`` at once when too much waits already."""

    def __init__(self, threads_max: int = THREADS_MAX, waiting_max: int = WAITING_MAX) -> None:
        """Start no thread before there is work."""
        self._pool = ThreadPoolExecutor(threads_max, thread_name_prefix="gongshu-answers")
        self._waiting_max = waiting_max
        self.waiting = 0

    async def run(self, work: Callable[[], T]) -> T | None:
        """Return what ``work`` returns, or ``None`` when there is no room for it."""
        if self.waiting >= self._waiting_max:
            return None
        self.waiting += 1
        # Counted until the work ends, not until its caller goes away: a thread cannot be stopped.
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    def _ended(self, _: object) -> None:
        self.waiting -= 1

    def close(self) -> None:
        """Let the work that runs end, and start nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
