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
class ChargeLine:
    """Units that fell into one tier, in FOCUS words. Amounts in fen before rounding are not kept: the charge is."""

    consumed_quantity: int
    consumed_unit: str
    list_unit_price: str


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
