"""One party's node: reads the agreed document, meets the peer, computes, and tells what this party may learn.

A line with a JSON order on standard input, and ``go`` once the parent has heard ``meeting``; JSON lines on standard
output: ``{"percent", "phase"}`` on the way, at the end ``{"outcome": …}`` or ``{"failure": code}``. No line holds a key or
a message of the library.
"""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPACE_EXTRA_BYTES = 12 << 30  # what interpreter, libraries and the stacks of their threads reserve without using it
FILE_BYTES_MAX = 8 << 30
OPEN_FILES_MAX = 4_096
MATCHED = "matched.csv"
DECOYS = 1  # the trusted side adds a random key, so that no digest of the whole set can be guessed

BROKEN_OFF, PEER_DIFFERS = "joint-broken-off", "joint-peer-differs"
CODES = {
    "FileNotFoundError": "joint-input-unfit", "InputUnfitError": "joint-input-unfit", "MemoryError": "joint-memory-exceeded",
    "OSError": "joint-node-failed", "OverfullError": "joint-input-unfit", "PeerAbsentError": "joint-peer-absent",
    "PeerDiffersError": PEER_DIFFERS, "UnicodeDecodeError": PEER_DIFFERS,
}  # fmt: skip
"""What an exception means, by its name: the modules that define them are loaded under the limits. Any other breaks off."""

Tell = Callable[[dict[str, Any]], None]


def limit_myself(memory_bytes_max: int) -> None:
    """Take only what the run may use; leave no core with shares in it."""
    wanted = {
        resource.RLIMIT_AS: memory_bytes_max + SPACE_EXTRA_BYTES, resource.RLIMIT_FSIZE: FILE_BYTES_MAX,
        resource.RLIMIT_NOFILE: OPEN_FILES_MAX, resource.RLIMIT_CORE: 0,
    }  # fmt: skip
    for kind, value in wanted.items():
        resource.setrlimit(kind, (value, value))


def take_stdout() -> tuple[Tell, Callable[[Callable[[str], None]], None]]:
    """Keep standard output for our lines; what the library prints goes through a pipe that ``listen`` reads."""
    lines = os.fdopen(os.dup(1), "w", buffering=1, encoding="ascii")
    readable, writable = os.pipe()
    os.dup2(writable, 1)
    os.dup2(writable, 2)
    os.close(writable)
    heard: list[Callable[[str], None]] = []
    lock = threading.Lock()

    def drain() -> None:
        with os.fdopen(readable, "r", encoding="utf-8", errors="replace") as printed:
            for line in printed:
                for hear in heard:
                    hear(line)

    def tell(message: dict[str, Any]) -> None:
        with lock:
            lines.write(json.dumps(message) + "\n")
            lines.flush()

    threading.Thread(target=drain, daemon=True).start()
    return tell, heard.append


def count_rows(path: Path) -> int:
    """Count the rows of a key file, without its header."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1


def run(
    order: dict[str, Any], tell: Tell, listen: Callable[[Callable[[str], None]], None], opened: list[Any]
) -> dict[str, Any]:
    """Do what the document says and return the outcome for this side. The link is put into ``opened``."""
    from gongshu.compute.adapters.joint.node import meeting  # noqa: PLC0415 - SPU is loaded under the limits

    text = order["document"].encode()
    digest, task, side = hashlib.sha256(text).hexdigest(), json.loads(text), order["side"]
    parties = [member["party"] for member in task["sides"]]
    learners = tuple(number for number in (0, 1) if parties[number] in task["learners"])
    fewest = task["thresholds"]["units_min"]
    keys = Path(order["keys"])
    rows = count_rows(keys)
    if not fewest + DECOYS <= rows <= task["sides"][side]["rows_max"] + DECOYS:
        return {"failure": "joint-input-unfit"}
    prepared = None if task["kind"] == "intersection" else _read(task, keys, side)
    limits = task["limits"]
    tell({"percent": 0, "phase": "connecting"})
    link = meeting.open_link(order, limits["silence_seconds"], limits["connect_seconds"])
    opened.append(link)
    tell({"percent": 1, "phase": "meeting"})
    if sys.stdin.buffer.readline() != b"go\n":  # our parent writes down that the agreement is spent, then lets us speak
        return {"failure": "joint-interrupted"}
    meeting.meet(link, side, digest)
    allowed = (fewest + DECOYS, task["sides"][1 - side]["rows_max"] + DECOYS)
    session = meeting.open_session(link, side, digest, rows, allowed)
    talk = meeting.Talk(link, side, learners, lambda percent, phase: tell({"percent": percent, "phase": phase}))
    talk.tell(5, "agreed")
    is_summed = prepared is not None
    outcome = _add_up(task, prepared, talk, session) if is_summed else _intersect(order, talk, fewest, listen)
    meeting.part(link)
    return {"outcome": outcome | {"rows": session.rows}}


def _intersect(
    order: dict[str, Any], talk: Any, fewest: int, listen: Callable[[Callable[[str], None]], None]
) -> dict[str, Any]:
    from gongshu.compute.adapters.joint.node import intersection  # noqa: PLC0415

    def hear(line: str) -> None:
        for mark, percent in intersection.MARKS.items():
            if mark in line:
                talk.tell(percent, "intersecting")

    listen(hear)
    scratch = Path(order["scratch"]) / MATCHED
    count = intersection.intersect(talk.link, Path(order["keys"]), scratch, talk.learners)
    if talk.side not in talk.learners:
        return {"passes": None}
    if count < fewest:  # the library has told this process; it goes no further
        return {"passes": False}
    shutil.copyfile(scratch, Path(order["outbox"]) / MATCHED)
    return {"passes": True, "count": count}


def _valued(task: dict[str, Any]) -> int:
    """Return which side brings values. Where none does, all values are zero and the first side plays that part."""
    return next((number for number in (0, 1) if task["sides"][number]["value_column"]), 0)


def _read(task: dict[str, Any], path: Path, side: int) -> Any:
    from gongshu.compute.adapters.joint.node import sums  # noqa: PLC0415

    return sums.read_keys(path, with_values=bool(task["sides"][side]["value_column"]))


def _add_up(task: dict[str, Any], prepared: Any, talk: Any, session: Any) -> dict[str, Any]:
    from gongshu.compute.adapters.joint.node import circuit, sums  # noqa: PLC0415

    bounds = task["thresholds"]
    limits = circuit.Limits(
        bounds["units_min"], bounds["dominance_p_percent"], bounds["dominance_top_n"], bounds["dominance_top_percent"]
    )
    return sums.add_up(talk, _valued(task), session, prepared, limits)


def main() -> None:
    """Answer one order. A loss of the peer may end the library's process outright; the parent sees that too."""
    order = json.loads(sys.stdin.buffer.readline())
    limit_myself(order["memory_bytes_max"])
    tell, listen = take_stdout()
    opened: list[Any] = []
    try:
        answer = run(order, tell, listen, opened)
    except Exception as error:  # noqa: BLE001 - told by name alone: a message may hold anything
        answer = {"failure": CODES.get(type(error).__name__, BROKEN_OFF)}
    tell(answer)
    if answer.get("failure", PEER_DIFFERS) == PEER_DIFFERS:
        with contextlib.suppress(Exception):  # let the peer hear our last word
            opened.pop().stop_link()
    os._exit(0)  # nothing is left to tidy, and the library's threads may wait for a peer that has gone
