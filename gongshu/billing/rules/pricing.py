"""What charged calls cost: included and prepaid ones first, then tiers by stage, a cap at the end. Pure and exact.

The order is that of the calls within a month; money is a fraction of a fen until the month is summed up, and is rounded
half up once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from gongshu.base.money import Tier, tier_parts
from gongshu.billing.types import ChargeLine, LineKind, PackUse
from gongshu.products.types import Pricing, TierMethod

CALL, MONTH, PACK = "call", "month", "pack"
FULL_PERCENT = 100


@dataclass(frozen=True)
class StageUnits:
    """Charged calls of one stretch of a month, at ``percent`` of the rates."""

    units: int
    percent: int


def stage_bounds(pricing: Pricing, start: date, end: date) -> tuple[tuple[date, int], ...]:
    """Return the stretches of ``start`` (inclusive) to ``end`` (exclusive): first day and percent of the rates of each."""
    percent = FULL_PERCENT
    for stage in pricing.stages:
        if stage.start <= start:
            percent = stage.percent
    found = [(start, percent)]
    found += [(stage.start, stage.percent) for stage in pricing.stages if start < stage.start < end]
    return tuple(found)


def draw_packs(
    packs: Sequence[PackUse], first: date, units: int
) -> tuple[tuple[PackUse, ...], int]:  # fmt: skip
    """Take ``units`` of the month that begins on ``first`` from prepaid packs, those that end first before the others.

    Returns the packs with what is left of each, and the units that no pack covered. A pack counts from the month in which
    it was bought to the month of its last day.
    """
    left, kept = units, list(packs)
    valid = [i for i, pack in enumerate(packs) if pack.bought_on.replace(day=1) <= first < pack.ends_on]
    for i in sorted(valid, key=lambda i: (packs[i].ends_on, packs[i].id)):
        taken = min(left, kept[i].units_left)
        kept[i] = replace(kept[i], units_left=kept[i].units_left - taken)
        left -= taken
    return tuple(kept), left


def price_month(
    spans: Sequence[StageUnits], tiers: tuple[Tier, ...], pricing: Pricing, *, is_performed: bool, pack_units: int = 0,
    bought: Sequence[PackUse] = (),
) -> tuple[tuple[ChargeLine, ...], int]:  # fmt: skip
    """Return the lines of a month and what it costs in fen.

    ``spans`` are the month's charged calls in the order of time; ``pack_units`` of them are prepaid; ``bought`` are the
    packs bought in the month. Included calls come first, then prepaid ones, then the tiers.
    """
    lines: list[ChargeLine] = []
    exact = Fraction(0)
    if pricing.period_fee_minor and is_performed:
        lines.append(ChargeLine(1, MONTH, _yuan(pricing.period_fee_minor), LineKind.PERIOD_FEE))
        exact += pricing.period_fee_minor
    total = sum(span.units for span in spans)
    included = min(total, pricing.period_units) if is_performed else 0
    prepaid = min(total - included, pack_units)
    for units, kind in ((included, LineKind.INCLUDED), (prepaid, LineKind.PREPAID)):
        if units:
            lines.append(ChargeLine(units, CALL, "0", kind))
    for part, tier, percent in _tiered(_after(spans, included + prepaid), tiers, pricing.method):
        lines.append(ChargeLine(part, CALL, tier.rate, LineKind.USAGE, percent))
        exact += Fraction(part) * Fraction(tier.rate) * percent
    if pricing.cap_minor is not None and exact > pricing.cap_minor:
        lines.append(ChargeLine(1, MONTH, _yuan(pricing.cap_minor), LineKind.CAP))
        exact = Fraction(pricing.cap_minor)
    for pack in bought:
        lines.append(ChargeLine(1, PACK, _yuan(pack.price_minor), LineKind.PACK))
        exact += pack.price_minor
    return tuple(lines), int(exact + Fraction(1, 2))


def _yuan(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _after(spans: Sequence[StageUnits], free: int) -> list[StageUnits]:
    """Return what is left of the stretches once the first ``free`` calls are paid otherwise."""
    found = []
    for span in spans:
        taken = min(free, span.units)
        free -= taken
        if span.units > taken:
            found.append(StageUnits(span.units - taken, span.percent))
    return found


def _tiered(
    spans: Sequence[StageUnits], tiers: tuple[Tier, ...], method: TierMethod
) -> list[tuple[int, Tier, int]]:  # fmt: skip
    """Return the parts with their tier and percent: tiers run on over the whole month, whatever the stage."""
    total = sum(span.units for span in spans)
    if method is TierMethod.VOLUME and total:
        reached = tier_parts(total, tiers)[-1][1]
        return [(span.units, reached, span.percent) for span in spans]
    found: list[tuple[int, Tier, int]] = []
    before = 0
    for span in spans:
        done = {id(tier): units for units, tier in tier_parts(before, tiers)}
        for units, tier in tier_parts(before + span.units, tiers):
            part = units - done.get(id(tier), 0)
            if part:
                found.append((part, tier, span.percent))
        before += span.units
    return found
