"""Money in integer minor units (fen), marginal tiers, and splits whose parts always add up."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Tier:
    """Everything above the tier before it and up to ``up_to`` (inclusive, None: without end) counts at ``rate``.

    ``rate`` is a decimal string: yuan per unit in a price, the first party's share between 0 and 1 in a split.
    """

    up_to: int | None
    rate: str


def tier_faults(tiers: tuple[Tier, ...]) -> list[str]:
    """Return what is wrong with the bounds and rates of ``tiers``; an empty list when they leave no gap or overlap."""
    if not tiers or tiers[-1].up_to is not None:
        return ["the last tier must have no upper bound"]
    bounds = [tier.up_to for tier in tiers[:-1]]
    if None in bounds:
        return ["only the last tier may have no upper bound"]
    numbers = [bound for bound in bounds if bound is not None]
    if any(bound <= 0 for bound in numbers) or sorted(set(numbers)) != numbers:
        return ["upper bounds must be positive and rise"]
    if any(Fraction(tier.rate) < 0 for tier in tiers):
        return ["a rate is negative"]
    return []


def tier_parts(amount: int, tiers: tuple[Tier, ...]) -> list[tuple[int, Tier]]:
    """Split ``amount`` (calls, or fen) into the part that falls into each tier, marginally."""
    parts, below = [], 0
    for tier in tiers:
        top = amount if tier.up_to is None else min(amount, tier.up_to)
        if top > below:
            parts.append((top - below, tier))
            below = top
    return parts


def price_units_minor(units: int, tiers: tuple[Tier, ...]) -> int:
    """Return the price of ``units`` in fen under marginal ``tiers`` in yuan per unit, rounded half up once at the end.

    150 000 calls at 1.00 to 10 000, 0.60 to 100 000, 0.30 above cost 79 000.00 yuan (parameters §6).
    """
    exact = sum((Fraction(part) * Fraction(tier.rate) * 100 for part, tier in tier_parts(units, tiers)), Fraction(0))
    return int(exact + Fraction(1, 2))


def share_by_weights(total_minor: int, weights: tuple[Fraction, ...]) -> tuple[int, ...]:
    """Split ``total_minor`` fen by ``weights`` with largest remainders: exact sum, no negative part, ties in order."""
    whole = sum(weights, Fraction(0))
    exact = [total_minor * weight / whole for weight in weights]
    parts = [int(part) for part in exact]
    missing = total_minor - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for index in by_remainder[:missing]:
        parts[index] += 1
    return tuple(parts)


def split_by_tiers(total_minor: int, tiers: tuple[Tier, ...]) -> tuple[int, int]:
    """Split ``total_minor`` fen between a first and a second party; each tier's rate is the first party's share.

    350 000 yuan at 5:5 up to 200 000 and 6:4 above give 190 000 and 160 000 (parameters §6).
    """
    first = sum((Fraction(part) * Fraction(tier.rate) for part, tier in tier_parts(total_minor, tiers)), Fraction(0))
    if total_minor == 0:
        return 0, 0
    one, other = share_by_weights(total_minor, (first / total_minor, 1 - first / total_minor))
    return one, other


def yuan(minor: int) -> str:
    """Return fen as yuan with two decimals and thousands separators: ``1,234.05``."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100:,}.{abs(minor) % 100:02d}"
