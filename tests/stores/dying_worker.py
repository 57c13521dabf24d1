"""A real worker that is killed at one point of a job, as by ``kill -9``: ``dying_worker.py POINT``, run by test_worker.

With ``crash`` instead of a point a step raises an exception with a data value in its message, every time.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from gongshu.compute import service as compute
from gongshu.compute.adapters import sandbox
from gongshu.egress import service as egress
from gongshu.server import cli

SECRET_VALUE = "赵四-110101199003074258"


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash(*_: object, **__: object) -> None:
    raise ValueError(SECRET_VALUE)


def after(action: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``action`` do all it does, then die."""

    def done(*arguments: Any, **named: Any) -> None:
        action(*arguments, **named)
        die()

    return done


POINTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "before the job starts": (compute, "run_job", die),
    "before the engine starts": (sandbox, "run_engine", die),
    "after the engine has ended": (sandbox, "run_engine", after(sandbox.run_engine)),
    "after the job has ended": (compute, "run_job", after(compute.run_job)),
    "before the output is collected": (egress, "collect", die),
    "after the output is collected": (egress, "collect", after(egress.collect)),
    "crash": (compute, "run_job", crash),
}

if __name__ == "__main__":
    owner, name, replacement = POINTS[sys.argv[1]]
    setattr(owner, name, replacement)
    raise SystemExit(cli.main(["worker"]))
