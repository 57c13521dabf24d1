"""Gateways, the view that says which of them are members, what they tell each other, and how a contract stands."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import PersonId
from gongshu.metering.types import HandedRecord, HandedUse


class GatewayStatus(StrEnum):
    """How a gateway stands with the control plane."""

    REGISTERED = "registered"  # known, and never seen yet
    MEMBER = "member"  # contracts are spread over these
    SETTLED = "settled"  # it serves nothing, and all that it recorded is known
    WRITTEN_OFF = "written-off"  # it serves nothing, and what it recorded last may never be known


@dataclass(frozen=True)
class RegisteredGateway:
    """A gateway that may take part. ``leased_until``: by then, at the latest, it has stopped if it heard nothing more."""

    id: str
    address: str  # where the other gateways reach it, such as http://10.0.0.12:8001
    public_key: str  # base64 of its Ed25519 key; its requests are signed with it
    registered_by: PersonId
    registered_at: datetime
    status: GatewayStatus
    leased_until: datetime | None = None

    @property
    def ref(self) -> Ref:
        """This gateway by its key and address."""
        return Ref("gateway", self.id, digest_of((self.address, self.public_key)))


class Member(msgspec.Struct, frozen=True):
    """A member as the view names it."""

    name: str
    address: str
    public_key: str


@dataclass(frozen=True)
class View:
    """Who the members are. Its number rises with each change, and what rests on an older one is void once a newer is known."""

    epoch: int
    made_at: datetime
    members: tuple[Member, ...]

    @property
    def id(self) -> str:
        """The number, so that ids sort by it."""
        return f"{self.epoch:012d}"

    @property
    def ref(self) -> Ref:
        """This view, bound to its members."""
        return Ref("view", self.id, digest_of(self.members))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the members."""
        return tuple(member.name for member in self.members)


# ----------------------------------------------------------------------------------------------- what a gateway holds


@dataclass(frozen=True)
class AdoptedView:
    """A view that a gateway went by. ``is_complete``: it had every other gateway's counts under this view."""

    epoch: int
    names: tuple[str, ...]
    is_complete: bool = False


@dataclass(frozen=True)
class Tenure:
    """What a gateway may answer for: the views that it adopted without a break of its lease, newest last."""

    name: str
    views: tuple[AdoptedView, ...] = ()

    @property
    def epoch(self) -> int:
        """The number of the view that it goes by; 0 before the first."""
        return self.views[-1].epoch if self.views else 0


class Standing(StrEnum):
    """How a contract stands at a gateway."""

    HELD = "held"  # it answers
    MOVING = "moving"  # it is to answer, and does not have the others' counts yet
    ELSEWHERE = "elsewhere"  # another gateway answers
    NOWHERE = "nowhere"  # it knows no view, or its lease has ended


# ------------------------------------------------------------------------------------------------------- what is told


class Report(msgspec.Struct, frozen=True):
    """What a gateway tells of itself with each beat; counts only."""

    contracts: int = 0  # that it has answered for under this view
    forwarded: int = 0  # calls handed to another gateway since it started
    is_complete: bool = False
    is_ready: bool = False


class Beat(msgspec.Struct, frozen=True):
    """A gateway's sign of life. ``number`` rises within one ``incarnation`` (one run of its process)."""

    name: str
    incarnation: str
    number: int
    nonce: str
    epoch: int  # of the view that it goes by
    keys_check: str  # whether it holds the same shared secrets
    last_segment: int  # the highest number of a usage segment that it has sealed
    snapshot: str = ""  # the digest of the head that it has
    is_leaving: bool = False  # it answers nothing any more and all its records are sealed
    report: Report = Report()


class Lease(msgspec.Struct, frozen=True):
    """The answer to a beat. The lease runs from when the beat was sent, by the gateway's own steady clock."""

    nonce: str
    seconds: float
    beat_seconds: float
    epoch: int
    home: str  # names the folder of the control plane: a gateway with the same one fetches nothing
    collected_segment: int  # the highest number of a segment of this gateway that the control plane has
    view: View | None = None  # when it is newer than the gateway's
    head: bytes = b""  # the signed head of the policy snapshot, when it is another than the gateway's
    has_left: bool = False


class HandOverRequest(msgspec.Struct, frozen=True):
    """Asks a gateway, or the control plane for all that are no members, for the counts of the asker's contracts."""

    name: str
    epoch: int
    nonce: str


class HandOver(msgspec.Struct, frozen=True):
    """The signed answer: ``giver`` answers for none of these contracts under ``epoch`` or before, and this is what it counted."""

    giver: str
    taker: str
    epoch: int
    nonce: str
    uses: tuple[HandedUse, ...]
    records: tuple[HandedRecord, ...]


class FileRequest(msgspec.Struct, frozen=True):
    """Asks the control plane for a file that the snapshot names."""

    name: str
    path: str
    nonce: str


class SentSegment(msgspec.Struct, frozen=True):
    """A sealed segment on its way to the control plane."""

    name: str
    segment: str
    data: bytes
    seal: bytes


class Signed(msgspec.Struct, frozen=True):
    """Bytes and who signed them."""

    name: str
    signature: bytes
    payload: bytes


@dataclass(frozen=True)
class Seen:
    """When a gateway was last heard of, and what it said; kept in memory and shown."""

    name: str
    incarnation: str
    number: int
    seen_at: datetime
    report: Report
    epoch: int = 0


@dataclass(frozen=True)
class GatewayView:
    """A gateway as people see it. ``contracts``: how many of those with keys lie with it now."""

    name: str
    address: str
    status: GatewayStatus
    contracts: int
    leased_until: datetime | None
    seen_at: datetime | None
    lease_seconds_left: int
    epoch: int
    forwarded: int
    is_complete: bool


@dataclass(frozen=True)
class GatewaysShown:
    """All gateways, and the number of the view."""

    epoch: int
    gateways: tuple[GatewayView, ...]
