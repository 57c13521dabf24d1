"""What a gateway leaves behind: read from its folder by whoever answers next.

Its counts stand in the seals; the ids of its last requests in its last segments.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from gongshu.base.site import Clock
from gongshu.metering.adapters import segments
from gongshu.metering.adapters.disk import LOCAL_DISK
from gongshu.metering.adapters.uses import Use, handed_use
from gongshu.metering.types import ANSWERED, HandedRecord, HandedUse, SegmentSeal

SEGMENTS_REMEMBERED, RECORDS_REMEMBERED = 8, 200_000
"""The calendar clock may have jumped: so many segments and records are read back at a start whatever their times."""


class StillRunning(Exception):  # noqa: N818 - a circumstance, not an error of the program
    """A process has the folder: what it counts is not final."""


def recent_records(folder: Path, window_seconds: float, is_wanted: Callable[[str], bool]) -> tuple[HandedRecord, ...]:
    """Return the answered records of the last two windows, of contracts that are wanted, oldest first."""
    found: list[list[HandedRecord]] = []
    newest, later = None, 0
    for place, identifier in enumerate(reversed(segments.segment_ids(folder, ".segment"))):
        stored = list(segments.stored_records(segments.read_segment(folder, identifier)))
        last_at = max((record.at for _, record in stored), default=None)
        newest = newest or last_at
        is_old = newest is not None and last_at is not None and last_at < newest - timedelta(seconds=2 * window_seconds)
        if place >= SEGMENTS_REMEMBERED and later >= RECORDS_REMEMBERED and is_old:
            break
        later += len(stored)
        found.append(
            [
                HandedRecord(f"{identifier}:{offset}", record)
                for offset, record in stored
                if record.result in ANSWERED and is_wanted(record.contract)
            ]
        )
    return tuple(record for part in reversed(found) for record in part)


def is_own_folder(folder: Path) -> bool:
    """Whether a gateway writes, or wrote, here itself; a folder of collected segments has no lock."""
    return (folder / "lock").exists()


def settle(folder: Path, clock: Clock) -> None:
    """Seal what a gateway that has ended left open; ``StillRunning`` when it has not ended.

    The lock is the proof: the system lets go of it only when the process that held it is gone.
    """
    if not is_own_folder(folder):
        return
    lock = segments.take_lock(folder)
    if lock is None:
        raise StillRunning(folder.name)
    try:
        sealed = set(segments.segment_ids(folder, ".seal.json"))
        for identifier in segments.segment_ids(folder, ".segment"):
            if identifier not in sealed:
                segments.recover(folder, identifier, clock, LOCAL_DISK)
    finally:
        os.close(lock)


def seals_of(folder: Path) -> list[SegmentSeal]:
    """Return every seal in a folder, oldest first; one that cannot be read is an error."""
    seals = []
    for identifier in segments.segment_ids(folder, ".seal.json"):
        seal = segments.read_seal(folder, identifier)
        if seal is None:
            raise ValueError(f"the seal of segment {identifier} cannot be read")
        seals.append(seal)
    return seals


def left_behind(
    folder: Path, window_seconds: float, is_wanted: Callable[[str], bool]
) -> tuple[tuple[HandedUse, ...], tuple[HandedRecord, ...]]:
    """Return what a gateway that serves no more counted of the contracts that are wanted, and the records of recent ids."""
    uses: dict[str, Use] = {}
    for seal in seals_of(folder):
        for tally in seal.tallies:
            if tally.answered_by_day and is_wanted(tally.contract):
                use = uses.setdefault(tally.contract, Use())
                for day, number in tally.answered_by_day.items():
                    use.add(day, number)
    counted = tuple(handed_use(contract, use.own()) for contract, use in uses.items())
    return counted, recent_records(folder, window_seconds, is_wanted)
