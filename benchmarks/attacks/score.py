"""How an attack is scored: how often it is right about a target, beside a guesser who asks nothing."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What an attack achieved over many targets. ``base`` is the best that one guess for all of them could do."""

    attack: str
    targets: int
    right: float
    base: float
    asked: int
    shown: int

    @property
    def points(self) -> float:
        """Percentage points above the base rate."""
        return 100 * (self.right - self.base)


def score(attack: str, guesses: list[int], truths: list[int], common: int, *, asked: int, shown: int) -> Score:
    """Score ``guesses`` of truths that are 0 or 1; ``common`` is what an attacker says who has learnt nothing."""
    right = sum(guess == truth for guess, truth in zip(guesses, truths, strict=True)) / len(truths)
    share = sum(truth == common for truth in truths) / len(truths)
    base = max(share, 1 - share)
    return Score(attack, len(truths), right, base, asked, shown)


def commonest(values: list[int]) -> int:
    """Return the commonest value."""
    return Counter(values).most_common(1)[0][0]
