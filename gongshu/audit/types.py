"""Entries, checkpoints and proofs."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gongshu.base.digest import Ref


class Outcome(StrEnum):
    """How a decision ended."""

    PERMITTED = "permitted"
    DENIED = "denied"


@dataclass(frozen=True)
class EntryReason:
    """A reason as it stands in the log: the stable code and the names and numbers of the case."""

    code: str
    facts: dict[str, str]


@dataclass(frozen=True)
class Entry:
    """One decision: who did what to which object, how it ended, and which objects the subject came from."""

    id: str
    at: datetime
    person: str
    party: str
    action: str
    subject: Ref
    outcome: Outcome
    reasons: tuple[EntryReason, ...] = ()
    origins: tuple[Ref, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A signed state of the log (C2SP tlog-checkpoint): its origin, number of entries and root hash."""

    origin: str
    size: int
    root: bytes
    note: str


@dataclass(frozen=True)
class InclusionProof:
    """What shows offline that one entry is in the log: leaf index, hashes, checkpoint, and the entry itself."""

    index: int
    entry: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str


@dataclass(frozen=True)
class Fault:
    """Something ``fsck`` found: where, and what is wrong with it."""

    where: str
    what: str


@dataclass(frozen=True)
class FsckReport:
    """The outcome of recomputing everything from the entries. All is well only when there are no ``faults``.

    ``size`` and ``root`` (hexadecimal) are those of the newest checkpoint; ``pending`` entries wait for the next one.
    """

    size: int
    root: str
    faults: tuple[Fault, ...]
    pending: int = 0
    checkpoints: int = 0


@dataclass(frozen=True)
class TraceStep:
    """One object on a lifeline, with the entry that decided it."""

    ref: Ref
    entry: Entry
    depth: int


@dataclass(frozen=True)
class TraceEdge:
    """``child`` came from ``parent``."""

    child: Ref
    parent: Ref


@dataclass(frozen=True)
class Trace:
    """Everything an object came from, or everything that came of it. ``gaps`` names origins without an entry.

    ``is_cut``: the walk ended at its limit of depth or steps, so there is more.
    """

    start: Ref
    steps: tuple[TraceStep, ...]
    edges: tuple[TraceEdge, ...]
    gaps: tuple[Ref, ...] = ()
    is_cut: bool = False
