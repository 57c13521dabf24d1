"""How large an expression can be, from the bounds declared for its columns: what noise is calibrated by.

Nothing rests on these being right: a value outside is brought within them before it is summed. What has no interval
cannot be summed with noise.
"""

from collections.abc import Iterable

from gongshu.compute.rules.terms import Term

Interval = tuple[float, float]


def interval_of(term: Term) -> Interval | None:
    """Return between which values ``term`` lies; ``None`` when that is not known."""
    return term.interval if term.number is None else (term.number, term.number)


def added(one: Interval | None, other: Interval | None) -> Interval | None:
    """Return the interval of a sum."""
    return None if one is None or other is None else (one[0] + other[0], one[1] + other[1])


def scaled(given: Interval | None, factor: float) -> Interval | None:
    """Return the interval of a multiple."""
    return (
        None
        if given is None
        else (min(given[0] * factor, given[1] * factor), max(given[0] * factor, given[1] * factor))
    )


def multiplied(one: Interval | None, other: Interval | None) -> Interval | None:
    """Return the interval of a product."""
    if one is None or other is None:
        return None
    ends = [a * b for a in one for b in other]
    return min(ends), max(ends)


def spanned(terms: Iterable[Term]) -> Interval | None:
    """Return the interval of one of ``terms``; NULL adds nothing to it."""
    found = [interval_of(term) for term in terms if not (term.is_constant and term.data_type is None)]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    return min(low for low, _ in known), max(high for _, high in known)
