"""How an attack is scored: how often it is right about a target, beside a guesser who asks nothing."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What an attack achieved over many targets. ``base`` is the success of always guessing the commonest value."""

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
    """Score ``guesses``; ``common`` is what one guesses who knows the population and asks nothing."""
    right = sum(guess == truth for guess, truth in zip(guesses, truths, strict=True)) / len(truths)
    base = sum(truth == common for truth in truths) / len(truths)
    return Score(attack, len(truths), right, base, asked, shown)


def commonest(values: list[int]) -> int:
    """Return the commonest value."""
    return Counter(values).most_common(1)[0][0]
