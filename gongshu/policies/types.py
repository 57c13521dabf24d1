"""The vocabulary of what may be done with data."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from gongshu.base.days import Period
from gongshu.base.ids import ResourceId


class Use(StrEnum):
    """The seven uses of a column. What is not in the set is forbidden."""

    REVEAL = "reveal"  # 可见
    GROUP = "group"  # 可分组
    TOTAL = "total"  # 可统计
    RANK = "rank"  # 可极值
    JOIN = "join"  # 可关联
    FILTER = "filter"  # 可筛选
    COMPARE = "compare"  # 可比对


class Grade(StrEnum):
    """What a column can do to the person or enterprise it speaks of; sets the default uses."""

    DIRECT_IDENTIFIER = "direct_identifier"  # 直接标识符
    SENSITIVE = "sensitive"  # 敏感属性
    QUASI_IDENTIFIER = "quasi_identifier"  # 准标识符
    ORDINARY = "ordinary"  # 一般属性
    OPEN = "open"  # 已依法公开


class MaskKind(StrEnum):
    """Masks are applied by the engine as SQL before anything is computed."""

    NAME = "name"  # first character kept
    ID_CARD = "id_card"  # 6 + 4 kept
    PHONE = "phone"  # 3 + 4 kept
    ADDRESS_DISTRICT = "address_district"
    BANK_CARD = "bank_card"  # last 4 kept
    MAILBOX = "mailbox"
    MONTH = "month"
    BAND = "band"
    KEYED_HASH = "keyed_hash"
    PSEUDONYM = "pseudonym"  # keeps the format; parameter: aes or sm4


@dataclass(frozen=True)
class Mask:
    """A mask and its one parameter, for example the width of a band."""

    kind: MaskKind
    parameter: str = ""


@dataclass(frozen=True)
class ColumnPolicy:
    """The uses of one column, and the mask that its value wears."""

    column: str
    uses: frozenset[Use]
    mask: Mask | None = None


@dataclass(frozen=True)
class ResourcePolicy:
    """What may be done with one resource: uses by column, privacy unit, optional row filter.

    ``unit`` names the columns that identify the person or enterprise to be protected. ``row_filter`` is a governed
    SQL condition set by the provider or the agency; rows outside it do not exist for the reader.
    """

    columns: tuple[ColumnPolicy, ...]
    unit: tuple[str, ...]
    row_filter: str = ""

    def of(self, column: str) -> ColumnPolicy:
        """Return the policy of ``column``; an unlisted column has the empty set of uses."""
        return next((p for p in self.columns if p.column == column), ColumnPolicy(column, frozenset()))


@dataclass(frozen=True)
class ContributionBounds:
    """How much one unit may add to the groups of a statement. What is more is left out, chosen by a keyed hash.

    At most ``rows_per_group_max`` rows of one unit count in a group, and at most ``groups_per_unit_max`` groups hold rows
    of one unit (0: any number).
    """

    rows_per_group_max: int
    groups_per_unit_max: int = 0


class RoundingMethod(StrEnum):
    """How a count is rounded: to the nearest multiple of the base, or up to the middle of its band (midpoint)."""

    NEAREST = "nearest"
    MIDPOINT = "midpoint"


@dataclass(frozen=True)
class Rounding:
    """How counts are rounded; means and variances use the rounded numbers of rows.

    Counts of at most ``redact_max`` are not shown at all (0: none). Midpoint-6 is ``MIDPOINT`` with base 6: 0 stays 0,
    1 … 6 become 3, 7 … 12 become 9.
    """

    base: int
    method: RoundingMethod = RoundingMethod.NEAREST
    redact_max: int = 0


class NoiseMechanism(StrEnum):
    """Which noise is added: discrete Laplace, or discrete Gaussian."""

    LAPLACE = "laplace"
    GAUSSIAN = "gaussian"


@dataclass(frozen=True)
class Clamp:
    """The bounds that values of one column are brought within before they are summed."""

    resource: ResourceId
    column: str
    low: int
    high: int


@dataclass(frozen=True)
class Noise:
    """Calibrated noise instead of exact thresholds, and the budget that pays for it.

    ``epsilon_milli`` (thousandths) is what one measurement costs: a count, a sum, or the choice of a stage's groups.
    ``delta_pico`` (1e-12) is what each choice of groups may cost, with Gaussian noise each measurement. The two budgets
    are of the whole entitlement, over all its statements.
    """

    mechanism: NoiseMechanism
    epsilon_milli: int
    delta_pico: int
    budget_epsilon_milli: int
    budget_delta_pico: int
    clamps: tuple[Clamp, ...] = ()


@dataclass(frozen=True)
class Protection:
    """What an entitlement demands beside the thresholds. Noise needs contribution bounds and excludes rounding."""

    bounds: ContributionBounds | None = None
    rounding: Rounding | None = None
    noise: Noise | None = None


@dataclass(frozen=True)
class Thresholds:
    """What every aggregate must satisfy at run time. Percentages are whole numbers from 0 to 100."""

    units_min: int
    dominance_p_percent: int
    dominance_top_n: int
    dominance_top_percent: int
    protection: Protection = Protection()


@dataclass(frozen=True)
class Hours:
    """A part of each day in China, from ``start_minute`` (inclusive) to ``end_minute`` (exclusive, at most 1 440)."""

    start_minute: int
    end_minute: int


@dataclass(frozen=True)
class UsagePolicy:
    """What a consumer may do under a contract (ODRL permission with constraints; T-14 names in brackets).

    ``purposes`` are purpose codes; ``calls_max`` (count) is the total, ``calls_per_day_max`` the daily limit, ``calls_per_second_max``
    (frequency) the rate; ``period`` (time) is when. What is empty does not restrict: ``addresses`` are networks that calls come
    from (CIDR), ``hours`` the parts of a day, ``fields`` the input fields that may be sent, ``certificates`` the SHA-256
    fingerprints of the caller's certificate as a trusted proxy reports it. ``is_signed_only``: calls must be signed.
    """

    purposes: tuple[str, ...]
    period: Period
    calls_max: int
    calls_per_day_max: int
    calls_per_second_max: int
    addresses: tuple[str, ...] = ()
    hours: tuple[Hours, ...] = ()
    fields: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    is_signed_only: bool = False


class UsageRequest(msgspec.Struct, frozen=True, gc=False):
    """One intended use, with the state that the limits are measured against.

    ``is_from_agreed``: it comes from an agreed address; ``has_certificate``: with an agreed certificate; ``is_signed``: it
    carries a good signature; ``fields_beyond``: how many of its fields are not agreed.
    """

    purpose: str
    calls_so_far: int
    calls_today: int
    calls_this_second: int
    is_from_agreed: bool = True
    has_certificate: bool = True
    is_signed: bool = True
    fields_beyond: int = 0
