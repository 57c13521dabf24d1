"""Every hostile statement, by construct, with how it must end. ``{v}`` is what attackers know the victim by.

Written against ``tests.escape.planted``; disclosure §1.4, 3.2, 3.3 and 4.
"""

from tests.escape.hostile import arithmetic, effects, flows, groups, leftovers, links, names, packing, relations
from tests.escape.hostile.outcomes import APART, SAME, WITHHELD
from tests.escape.planted import VICTIM_INT

PARTS = (flows, leftovers, arithmetic, packing, relations, links, names, effects, groups)
OUTCOMES = frozenset({WITHHELD, SAME, APART})
LONG_TEXT = "S" * 100

CORPUS: list[tuple[str, str]] = [
    (sql.replace("{v}", str(VICTIM_INT)).replace("{long}", LONG_TEXT), outcome)
    for part in PARTS
    for sql, outcome in part.CORPUS
]
