"""What honest work still gets: tables that a statistical office would ask for, beside the same without any protection."""
# ruff: noqa: S608 - an attacker's statements, written by code

from dataclasses import dataclass
from statistics import median

from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import Person

TABLES = (
    ("district",), ("sex",), ("education",), ("occupation",), ("district", "sex"), ("district", "education"), ("marital", "sex"),
    ("age",), ("district", "marital"), ("occupation", "sex"), ("hours",), ("education", "sex"),
)  # fmt: skip
MEASURES = ("count(*)", "sum(ill)", "avg(income)")


@dataclass(frozen=True)
class Utility:
    """Cells of honest tables: how many there are, which share was withheld, how far the others are from the truth."""

    cells: int
    withheld_percent: float
    people_withheld_percent: float
    error_percent: float


def honest(desk: Desk, people: list[Person]) -> Utility:
    """Ask for every table and compare it with the plain one."""
    cells = lost = lost_people = all_people = 0
    errors: list[float] = []
    for keys in TABLES:
        names = ", ".join(keys)
        rows = desk.ask(f"SELECT {names}, {', '.join(MEASURES)} FROM residents GROUP BY {names}")
        shown = {row[: len(keys)]: row[len(keys) :] for row in rows}
        for key, members in _groups(people, keys).items():
            cells, all_people = cells + 1, all_people + len(members)
            if key not in shown:
                lost, lost_people = lost + 1, lost_people + len(members)
                continue
            truth = (len(members), sum(p["ill"] for p in members), sum(p["income"] for p in members) / len(members))
            errors += [abs(float(a) - b) / b for a, b in zip(shown[key], truth, strict=True) if b]
    return Utility(cells, 100 * lost / cells, 100 * lost_people / all_people, 100 * median(errors) if errors else 0.0)


def _groups(people: list[Person], keys: tuple[str, ...]) -> dict[tuple[int, ...], list[Person]]:
    found: dict[tuple[int, ...], list[Person]] = {}
    for person in people:
        found.setdefault(tuple(person[key] for key in keys), []).append(person)
    return found
