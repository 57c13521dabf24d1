"""Count and sum over the intersection, without anybody learning which keys are in it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from gongshu.compute.adapters.joint.node import circuit, placing
from gongshu.compute.adapters.joint.node.meeting import Session, Talk
from gongshu.compute.adapters.joint.node.placing import Integers

MAGNITUDE_MAX = 1 << 53
"""The values of a file may add up to this at most (by size): the thresholds are tested in 64 bits."""
ATTEMPTS_MAX = 8
READY_PERCENT, DONE_PERCENT = 10, 95


class InputUnfitError(Exception):
    """The key file is not what the trusted side should have prepared."""


def read_keys(path: Path, *, with_values: bool) -> tuple[list[bytes], Integers]:
    """Return keys and values (zeros without) of a key file."""
    with path.open(encoding="ascii", newline="") as file:
        lines = csv.reader(file)
        if next(lines, None) != (["key", "value"] if with_values else ["key"]):
            raise InputUnfitError
        rows = list(lines)
    keys = [row[0].encode() for row in rows]
    try:
        numbers = [int(row[1]) for row in rows] if with_values else [0] * len(rows)
    except (ValueError, IndexError):
        raise InputUnfitError from None
    if len(set(keys)) != len(keys) or sum(map(abs, numbers)) > MAGNITUDE_MAX:
        raise InputUnfitError
    return keys, np.array(numbers, dtype=np.int64)


def add_up(
    talk: Talk, valued: int, session: Session, keys: tuple[list[bytes], Integers], limits: circuit.Limits
) -> dict[str, Any]:
    """Run the circuit and return what this side may learn: nothing at all if it is no learner."""
    shape = placing.shape_of(session.rows[valued], session.rows[1 - valued])
    mine = _place(talk.link, is_valued=talk.side == valued, session=session, keys=keys, shape=shape)
    talk.tell(READY_PERCENT, "comparing")
    machine = circuit.Machine(talk.link, talk.side)
    width = circuit.slice_width(shape.depth, shape.bins)
    machine.set_zero(circuit.STATE)
    state = dict.fromkeys(circuit.STATE, circuit.ZERO)
    program = None
    for start in range(0, shape.bins, width):
        slices = _slices(mine, shape, start, width)
        if program is None:
            program = machine.compile(circuit.step, slices | state, circuit.STATE)
        for name, values in slices.items():
            machine.enter(name, 1 - valued if name == "others" else valued, values)
        machine.run(program)
        done = min(1.0, (start + width) / shape.bins)
        talk.tell(round(READY_PERCENT + (DONE_PERCENT - READY_PERCENT) * done), "comparing")
    machine.run(machine.compile(circuit.finish(limits), state, circuit.ANSWER))
    return _answer({name: machine.open(name, talk.learners) for name in circuit.ANSWER}, session)


def _answer(opened: dict[str, int | None], session: Session) -> dict[str, Any]:
    """Return what was opened, if it can be true."""
    passes, count, total = (opened[name] for name in ("passes", "shown_count", "shown_total"))
    if passes is None or count is None:
        return {"passes": None}
    if passes not in {0, 1} or not 0 <= count <= min(session.rows):
        raise circuit.ShareError
    if passes == 0:
        return {"passes": False}
    return {"passes": True, "count": count, "total": total, "is_signed": bool(opened["is_signed"])}


def _place(
    link: Any, *, is_valued: bool, session: Session, keys: tuple[list[bytes], Integers], shape: placing.Shape
) -> dict[str, Integers]:
    """Place our keys; the valued side says which attempt at hashing its keys fit under."""
    names, values = keys
    if is_valued:
        for attempt in range(ATTEMPTS_MAX):
            marks = placing.marks_of(names, session.salt, attempt, shape.region)
            try:
                rows = placing.place_once(marks, shape)
            except placing.OverfullError:
                continue
            link.send(1 - link.rank, json.dumps(attempt))
            tags = placing.fill(rows, marks.tags, placing.random_tags(rows.shape))
            found = placing.fill(rows, values, np.zeros_like(rows))
            return {"tags": tags, "values": found, "sizes": np.abs(found)}
        raise placing.OverfullError
    said = link.recv(1 - link.rank)
    if said not in {json.dumps(attempt).encode() for attempt in range(ATTEMPTS_MAX)}:
        raise circuit.ShareError
    marks = placing.marks_of(names, session.salt, int(said), shape.region)
    rows = placing.place_thrice(marks, shape)
    return {"others": placing.fill(rows, marks.tags, placing.random_tags(rows.shape))}


def _slices(mine: dict[str, Integers], shape: placing.Shape, start: int, width: int) -> dict[str, Integers]:
    """Return one slice of each table: ours, and zeros in the shape of the other side's. Short ones are padded."""
    given: dict[str, Integers] = {}
    for name in ("others", "tags", "values", "sizes"):
        wanted = (shape.depth, width) if name == "others" else (width,)
        cut = mine[name][..., start : start + width] if name in mine else np.zeros(wanted, dtype=np.int64)
        missing = width - cut.shape[-1]
        if missing:
            rest = (*wanted[:-1], missing)
            padding = placing.random_tags(rest) if name in {"others", "tags"} else np.zeros(rest, dtype=np.int64)
            cut = np.concatenate([cut, padding], axis=-1)
        given[name] = np.ascontiguousarray(cut)
    return given
