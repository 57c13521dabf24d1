"""Charges, statements, splits."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import ContractId, PartyId, ProductId, StatementId


class ShareKind(StrEnum):
    """Who a part of the income goes to."""

    SUPPLIER = "supplier"
    TREASURY = "treasury"
    OPERATOR = "operator"


@dataclass(frozen=True)
class MonthUsage:
    """What a contract used in a month: charged calls by stretch of the month, all calls, and the segments they lie in."""

    charged: tuple[int, ...]
    calls: int
    segments: tuple[Ref, ...]


class LineKind(StrEnum):
    """What a line of a charge is for."""

    USAGE = "usage"  # calls at a tier's rate
    INCLUDED = "included"  # calls that the month's fee holds
    PREPAID = "prepaid"  # calls taken from packs
    PERIOD_FEE = "period_fee"
    CAP = "cap"  # the month costs no more than this
    PACK = "pack"  # a pack bought in the month


@dataclass(frozen=True)
class ChargeLine:
    """Units that fell into one tier, in FOCUS words. Amounts in fen before rounding are not kept: the charge is.

    ``percent`` is the share of the unit price that the stage of the price asks for.
    """

    consumed_quantity: int
    consumed_unit: str
    list_unit_price: str
    kind: LineKind = LineKind.USAGE
    percent: int = 100


@dataclass(frozen=True)
class PackUse:
    """A prepaid pack that a consumer bought under a contract. ``ends_on`` is the first day on which it is void.

    ``units_left`` is what is left in a calculation; what is stored always holds all of ``units``.
    """

    id: str
    contract: ContractId
    consumer: PartyId
    operator: PartyId
    units: int
    units_left: int
    price_minor: int
    bought_on: date
    ends_on: date

    @property
    def ref(self) -> Ref:
        """This pack, bound to its price and time."""
        return Ref(
            "pack", self.id, digest_of((self.contract, self.units, self.price_minor, self.bought_on, self.ends_on))
        )


@dataclass(frozen=True)
class Charge:
    """What one contract owes for one month, from sealed segments only."""

    contract: Ref
    contract_id: ContractId
    product: ProductId
    segments: tuple[Ref, ...]
    calls: int
    charged_calls: int
    lines: tuple[ChargeLine, ...]
    billed_cost_minor: int


@dataclass(frozen=True)
class Share:
    """One party's part of the income."""

    kind: ShareKind
    party: PartyId
    amount_minor: int


@dataclass(frozen=True)
class Statement:
    """A monthly statement of one contract; ``charge_period_start`` inclusive, ``charge_period_end`` exclusive (FOCUS)."""

    id: StatementId
    consumer: PartyId
    operator: PartyId
    charge_period_start: date
    charge_period_end: date
    charge: Charge
    shares: tuple[Share, ...]
    currency: str
    created_at: datetime
    corrects: StatementId | None = None  # the statement of the same contract and month that this one replaces
    difference_minor: int = 0  # what is owed more (or less) than by the statement corrected

    @property
    def ref(self) -> Ref:
        """This statement, bound to its sums."""
        return Ref(
            "statement", self.id,
            digest_of((self.charge_period_start, self.charge_period_end, self.charge, self.shares)),
        )  # fmt: skip


class DisputeStatus(StrEnum):
    """A consumer's objection to a statement on its way."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Dispute:
    """What a consumer says is wrong with a statement: records by their positions, or a text alone."""

    id: str
    statement: Ref
    statement_id: StatementId
    contract: ContractId
    consumer: PartyId
    operator: PartyId
    reason: str
    positions: tuple[str, ...]
    status: DisputeStatus
    raised_at: datetime
    answer: str = ""
    decided_at: datetime | None = None

    @property
    def ref(self) -> Ref:
        """This dispute, bound to what was said."""
        return Ref("dispute", self.id, digest_of((self.statement, self.reason, self.positions)))


@dataclass(frozen=True)
class Adjustment:
    """An entry beside a statement that is never edited: ``amount_minor`` fen more (or less, negative) are owed.

    ``shares`` are the differences that it makes to each party's part; they add up to the amount.
    """

    id: str
    statement: Ref
    statement_id: StatementId
    contract: ContractId
    product: ProductId
    consumer: PartyId
    operator: PartyId
    month: date
    amount_minor: int
    reason: str
    shares: tuple[Share, ...]
    created_at: datetime
    dispute: Ref | None = None

    @property
    def ref(self) -> Ref:
        """This entry, bound to statement and amount."""
        return Ref("adjustment", self.id, digest_of((self.statement, self.amount_minor, self.reason, self.shares)))


@dataclass(frozen=True)
class Confirmation:
    """The consumer agrees with a statement (对账确认): from then on only adjusting entries change what is owed."""

    id: str  # that of the statement
    statement: Ref
    consumer: PartyId
    confirmed_at: datetime


@dataclass(frozen=True)
class Income:
    """What one consumer called and owes for one product: the newest statement of each contract and month counts."""

    product: ProductId
    consumer: PartyId
    calls: int
    charged_calls: int
    billed_cost_minor: int


@dataclass(frozen=True)
class Totals:
    """Sums over statements: calls and fen, by product and consumer, and by who the income goes to."""

    statements: int
    calls: int
    charged_calls: int
    billed_cost_minor: int
    income: tuple[Income, ...]
    shares: tuple[Share, ...]
