"""Unusual use of contracts, and lifelines: what an object came from, and what came of it, each step with its law article."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gongshu.audit.types import Trace
from gongshu.base.decisions import Text
from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId, PartyId
from gongshu.billing.types import Income


@dataclass(frozen=True)
class UnusualContract:
    """A contract under which so many calls of a month asked for who is not there that somebody may be trying ids."""

    contract: ContractId
    consumer: PartyId
    month: str  # of China time: 2026-11
    answered: int
    no_record: int

    @property
    def share_percent(self) -> int:
        """How many of a hundred answered calls found no record, rounded down."""
        return 100 * self.no_record // max(1, self.answered)


class Direction(StrEnum):
    """Which way a lifeline was walked."""

    BACK = "back"  # 追溯来源
    FORWARD = "forward"  # 追踪去向


@dataclass(frozen=True)
class LifelineDecision:
    """One permitted decision about an object: what was done, when, by whom, and the article that the step follows."""

    action: str
    title: Text
    at: datetime
    person: str
    party: str
    article: str
    entry: str
    facts: dict[str, str]


@dataclass(frozen=True)
class LifelineNode:
    """One object and the decisions that made it what it is, oldest first.

    ``at``, ``who``, ``article`` and ``facts`` are those of the decision by which it came to be in force: the last one by a
    person that was not its end. ``who`` is the id of a person, ``organisation`` the name of its party. A call has no decision of its
    own: its facts are those of its usage record.
    """

    kind: str
    id: str
    digest: str
    title: Text
    at: datetime | None
    who: str
    organisation: str
    article: str
    depth: int
    facts: dict[str, str] = field(default_factory=dict)
    decisions: tuple[LifelineDecision, ...] = ()

    @property
    def ref(self) -> Ref:
        """The object as it was."""
        return Ref(self.kind, self.id, self.digest)


@dataclass(frozen=True)
class LifelineEdge:
    """``child`` came from ``parent``; both stand among the nodes or the gaps."""

    child: Ref
    parent: Ref


@dataclass(frozen=True)
class Lifeline:
    """A walk over the audit log, ready to be drawn. ``trace`` is the walk itself, the call included.

    ``gaps``: objects named as origins that the log holds no decision about; ``is_cut``: the walk ended at its limit.
    ``income`` and its sums are filled when walking forward.
    """

    start: Ref
    direction: Direction
    nodes: tuple[LifelineNode, ...]
    edges: tuple[LifelineEdge, ...]
    trace: Trace
    gaps: tuple[Ref, ...] = ()
    is_cut: bool = False
    income: tuple[Income, ...] = ()

    @property
    def calls(self) -> int:
        """All calls that came of the object, as far as they are billed."""
        return sum(part.calls for part in self.income)

    @property
    def billed_cost_minor(self) -> int:
        """All fen that came of the object."""
        return sum(part.billed_cost_minor for part in self.income)
