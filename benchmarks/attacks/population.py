"""A synthetic population in the manner of Adult and PUMS, made by code, and the relation that developers compute with.

Uses are those that the grades give by default: identifiers join, quasi-identifiers group and filter, sensitive values are only
summed. ``ill`` has 12 % of the people, ``rich`` 24 %, ``coin`` half of them and depends on nothing.
"""

import random
from dataclasses import dataclass

from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.service import default_uses
from gongshu.policies.types import ColumnPolicy, Grade, ResourcePolicy

T, N = DataType.TEXT, DataType.INTEGER
COLUMNS = {
    "id": (T, Grade.DIRECT_IDENTIFIER), "age": (N, Grade.QUASI_IDENTIFIER), "sex": (N, Grade.QUASI_IDENTIFIER),
    "district": (N, Grade.QUASI_IDENTIFIER), "education": (N, Grade.QUASI_IDENTIFIER),
    "occupation": (N, Grade.QUASI_IDENTIFIER), "marital": (N, Grade.QUASI_IDENTIFIER), "hours": (N, Grade.ORDINARY),
    "smoker": (N, Grade.QUASI_IDENTIFIER), "ill": (N, Grade.SENSITIVE), "rich": (N, Grade.SENSITIVE),
    "coin": (N, Grade.SENSITIVE), "income": (N, Grade.SENSITIVE),
}  # fmt: skip
KNOWN = ("age", "sex", "district", "education", "occupation", "marital", "hours")
"""What an attacker knows of everybody."""
TYPES = {DataType.TEXT: "VARCHAR", DataType.INTEGER: "BIGINT"}

RELATION = Relation(
    "residents", ResourceId("residents"), tuple(RelationColumn(name, kind) for name, (kind, _) in COLUMNS.items()),
    ResourcePolicy(tuple(ColumnPolicy(name, frozenset(default_uses(g))) for name, (_, g) in COLUMNS.items()), ("id",)),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """One resident: identity, what is known, and the secrets."""

    values: dict[str, int | str]

    def __getitem__(self, name: str) -> int:
        """Return a value by its column's name; the identity is asked for by ``values``."""
        return int(self.values[name])

    def described(self, *names: str) -> str:
        """Write the condition that this person's known values meet."""
        return " AND ".join(f"{name} = {self[name]}" for name in names or KNOWN)


def people(count: int, seed: int) -> list[Person]:
    """Draw ``count`` people; the same for the same seed."""
    draw = random.Random(seed)
    return [_person(draw, number) for number in range(count)]


def _person(draw: random.Random, number: int) -> Person:
    age = min(90, 17 + int(draw.betavariate(1.6, 2.4) * 74))
    education = min(15, max(1, int(draw.gauss(9.5, 2.6))))
    hours = min(80, max(5, 5 * round(draw.gauss(40, 11) / 5)))
    married = int(draw.random() < min(0.75, age / 70))
    chance = max(0.01, min(0.85, 0.02 * (education - 5) + 0.004 * (age - 20) + 0.22 * married + 0.003 * (hours - 40)))
    values: dict[str, int | str] = {
        "id": f"R{number:06}", "age": age, "sex": draw.randrange(2), "district": draw.randrange(8), "education": education,
        "occupation": draw.randrange(12), "marital": married + 2 * int(draw.random() < 0.2), "hours": hours,
        "smoker": int(draw.random() < 0.25), "ill": int(draw.random() < 0.05 + age / 600), "rich": int(draw.random() < chance),
        "coin": draw.randrange(2), "income": int(draw.lognormvariate(8.6, 0.5)),
    }  # fmt: skip
    return Person(values)
