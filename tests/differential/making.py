"""Random relations, uses, data and statements: what every engine must answer as the reference does.

``cases`` is a Hypothesis strategy, ``case_of`` makes one case of its seed again. A case is engine-neutral: relations with
their policies, rows as Python values, and SQL. Statements are made of the constructs that the gate permits; many are refused
for want of a use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.types import ColumnPolicy, Mask, MaskKind, ResourcePolicy, Thresholds, Use
from tests.reference.relations import Table

TEXT, INTEGER, DECIMAL, DATE, FLAG = (
    DataType.TEXT, DataType.INTEGER, DataType.DECIMAL, DataType.DATE, DataType.BOOLEAN,
)  # fmt: skip
NOTHING_WITHHELD = Thresholds(units_min=0, dominance_p_percent=0, dominance_top_n=1, dominance_top_percent=100)
STRICT = Thresholds(units_min=3, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)

WORDS = (
    "a",
    "A",
    "甲",
    "乙、丙",
    "ß",
    "é",
    "é",
    "𠮷",
    "🧑‍🌾",
    "a'b",
    'q"uote',
    "",
    " ",
    "%",
    "100_x",
    "\u202e右",
    "NULL",
)
"""Values of a text column: case, look-alikes, signs beyond the first plane, quotes, wildcards, nothing at all."""
NAMES = {
    "unit": ("who", "主体", "Unit Id"), "key": ("link", "关联码", "a b"), "cat": ("place", "地区", "Größe"),
    "int": ("size", "数量", "n%"), "dec": ("amount", "金额", "sum"), "day": ("day", "日期", "from"), "flag": ("flag", "是否", "case"),
}  # fmt: skip
TYPES = {"unit": TEXT, "key": INTEGER, "cat": TEXT, "int": INTEGER, "dec": DECIMAL, "day": DATE, "flag": FLAG}
MASKS = {
    "cat": (Mask(MaskKind.NAME), Mask(MaskKind.PHONE), Mask(MaskKind.MAILBOX)), "int": (Mask(MaskKind.BAND, "10"),),
    "dec": (Mask(MaskKind.BAND, "7"), Mask(MaskKind.BAND, "100")), "day": (Mask(MaskKind.MONTH),),
}  # fmt: skip
"""Masks that a column may wear. Those with a key are compared for themselves (``tests/stores/test_worn_columns.py``)."""
TABLE_NAMES = ("people", "访问", "Areas")
EXTREMES = (0, 1, -1, 2**31, -(2**31), 2**53 + 1, 9_000_000_000_000_000, -9_000_000_000_000_000)
PATTERNS = ("'%a%'", "'_'", "'100%'")
DECIMALS = (Decimal("0.0001"), Decimal("-0.0001"), Decimal("99999999999999.9999"), Decimal("-99999999999999.9999"))


@dataclass(frozen=True)
class Case:
    """One statement over tables, made of a seed. ``is_loose``: thresholds withhold more of it than the reference knows of."""

    seed: int
    tables: tuple[Table, ...]
    sql: str
    is_loose: bool

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The relations as the gate sees them."""
        return tuple(table.relation for table in self.tables)


@dataclass(frozen=True)
class Made:
    """A table and the written names of its columns by what they are for."""

    table: Table
    names: dict[str, str]
    alias: str = ""

    def __getitem__(self, kind: str) -> str:
        """Return a column as it is written."""
        return f"{self.alias}.{self.names[kind]}" if self.alias else self.names[kind]

    @property
    def written(self) -> str:
        """Return the table as FROM has it."""
        return quoted(self.table.relation.name) + (f" AS {self.alias}" if self.alias else "")


def quoted(name: str) -> str:
    """Return a name in quotes."""
    return '"' + name.replace('"', '""') + '"'


# ------------------------------------------------------------------------------------------------------------- data


def _values(random: Random, rows: int, units: int, *, calm: bool) -> list[tuple[Any, ...]]:
    """Return rows in the order of ``TYPES``; few units, few keys, NULLs, and extreme numbers unless ``calm``."""
    words = random.sample(WORDS, random.randint(1, 4))
    missing = random.choice((0.0, 0.05, 0.3))

    def number() -> int:
        return random.choice(EXTREMES) if not calm and random.random() < 0.2 else random.randint(-20, 60)

    def amount() -> Decimal:
        if not calm and random.random() < 0.1:
            return random.choice(DECIMALS)
        return Decimal(random.randint(-2_000, 90_000)) / 100

    makers: dict[str, Callable[[], Any]] = {
        "unit": lambda: f"u{random.randrange(units)}", "key": lambda: random.randrange(6), "cat": lambda: random.choice(words),
        "int": number, "dec": amount, "day": lambda: date(2019, 11, 1) + timedelta(days=random.randrange(900)),
        "flag": lambda: random.random() < 0.7,
    }  # fmt: skip
    return [tuple(None if random.random() < missing else make() for make in makers.values()) for _ in range(rows)]


def _table(random: Random, number: int) -> Made:
    which = random.randrange(3)
    names = {kind: f"{options[which]}{number}" for kind, options in NAMES.items()}
    has_unit = number < 2
    widest = random.choice((frozenset(Use), frozenset(Use), frozenset(Use) - {Use.REVEAL}, None))
    policies = tuple(
        ColumnPolicy(
            name,
            frozenset(random.sample(list(Use), random.randint(3, 7))) if widest is None else widest,
            random.choice(MASKS[kind]) if kind in MASKS and random.randrange(5) == 0 else None,
        )
        for kind, name in names.items()
    )
    relation = Relation(
        TABLE_NAMES[number], ResourceId(f"resource-{number}"),
        tuple(RelationColumn(names[kind], data_type) for kind, data_type in TYPES.items()),
        ResourcePolicy(policies, (names["unit"],) if has_unit else ()),
    )  # fmt: skip
    rows = random.choice((0, 3, 20, 40, 60)) if has_unit else random.randrange(8)
    values = tuple(_values(random, rows, random.choice((1, 4, 12, 40)), calm=random.random() < 0.7))
    return Made(Table(relation, values), {kind: quoted(name) for kind, name in names.items()})


# -------------------------------------------------------------------------------------------------------- statements


class Sql:
    """Makes one statement over tables at random."""

    def __init__(self, random: Random, tables: list[Made]) -> None:
        """Draw from ``tables``."""
        self._random, self._tables, self._made = random, tables, 0
        self.is_loose = False

    def one(self, *options: Any) -> Any:
        """Draw one of ``options``."""
        return self._random.choice(options)

    def some(self, options: tuple[Any, ...], most: int) -> list[Any]:
        """Draw one or more of ``options``, each once."""
        return self._random.sample(options, self._random.randint(1, most))

    def chance(self, of: int) -> bool:
        """Draw whether something happens, once in so many."""
        return self._random.randrange(of) == 0

    # ----------------------------------------------------------------------------------------------------- pieces

    def condition(self, t: Made) -> str:
        """Return a condition on the rows of ``t``."""
        atoms = (
            f"{t['int']} > {self.one(-5, 0, 10, 40)}", f"{t['int']} BETWEEN {self.one(-20, 0)} AND {self.one(5, 60)}",
            f"{t['cat']} IN ('a', '甲', '%')", f"{t['cat']} LIKE {self.one(*PATTERNS)}", f"{t['cat']} IS NULL",
            f"{t['flag']}", f"NOT {t['flag']}", f"{t['flag']} IS NOT TRUE", f"{t['dec']} <= {self.one('0', '99.5', '1000')}",
            f"{t['day']} >= DATE '2020-0{self.one(1, 6)}-15'", f"{t['key']} NOT IN (1, 2)", f"{t['int']} * 2 < {t['key']} + 30",
            f"{t['day']} < DATE '2021-01-31' + INTERVAL {self.one(1, 3)} MONTH", f"{t['dec']} IS NOT NULL",
        )  # fmt: skip
        found = self.some(atoms, 3)
        text = f" {self.one('AND', 'OR')} ".join(found)
        return f"NOT ({text})" if self.chance(6) else text

    def number(self, t: Made) -> str:
        """Return a numeric argument of an aggregate."""
        return self.one(
            t["int"], t["dec"], t["int"], t["dec"], f"{t['int']} * 2 + 1", f"{t['dec']} / 4", f"{t['int']} + {t['dec']}",
            f"-{t['dec']}", f"{t['int']} * {t['key']}", f"coalesce({t['int']}, 0)",
            f"CASE WHEN {self.condition(t)} THEN {t['dec']} ELSE 0 END", f"CASE WHEN {self.condition(t)} THEN 1 ELSE 0 END",
            f"CASE WHEN {self.condition(t)} THEN {t['int']} WHEN {t['flag']} THEN 1 END",
        )  # fmt: skip

    def aggregate(self, t: Made) -> str:
        """Return an aggregate over the rows of ``t``."""
        made = self.one(
            "count(*)", "count(*)", f"count({t['cat']})", f"count({self.number(t)})", f"count(DISTINCT {t['cat']})",
            f"count(DISTINCT {t['unit']})", f"sum({self.number(t)})", f"sum({self.number(t)})", f"avg({self.number(t)})",
            f"min({t['day']})", f"max({t['int']})", f"median({t['int']})", f"quantile_cont({t['int']}, 0.25)",
            f"stddev_samp({t['key']})", f"var_pop({t['key']})", f"covar_pop({t['key']}, {t['key']} * 2)",
            f"count_if({t['flag']})",
        )  # fmt: skip
        may_filter = not made.startswith("count_if") and self.chance(6)
        return f"{made} FILTER (WHERE {self.condition(t)})" if may_filter else made

    def keys(self, t: Made) -> list[str]:
        """Return group keys over the rows of ``t``; often none."""
        if self.chance(4):
            return []
        options = (
            t["cat"], t["key"], t["flag"], f"year({t['day']})", f"{t['int']} > 10", f"coalesce({t['cat']}, '-')",
            f"CASE WHEN {t['int']} > 20 THEN 'many' ELSE 'few' END", f"extract(MONTH FROM {t['day']})",
            f"date_trunc('month', {t['day']})", f"substring({t['cat']}, 1, 1)", f"length({t['cat']})",
        )  # fmt: skip
        return self.some(options, 2)

    def source(self) -> tuple[str, Made, list[Made]]:
        """Return a FROM with its conditions, the table whose columns are asked for, and all of them."""
        self._made += 1
        first, *others = (
            Made(t.table, t.names, f"t{self._made}{i}")
            for i, t in enumerate(self._random.sample(self._tables, len(self._tables)))
        )
        if not self.chance(2):
            return f"FROM {first.written}", first, [first]
        written, joined = f"FROM {first.written}", [first]
        if others and self.chance(5):
            self.is_loose = True
            other, kind = others[0], self.one("SEMI", "ANTI")
            return f"{written} {kind} JOIN {other.written} ON {first['key']} = {other['key']}", first, joined
        for other in others[: self.one(1, 1, 2)]:
            side = self.one("JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
            on = f"{self.one(*joined)['key']} = {other['key']}"
            on += f" AND {self.condition(other)}" if self.chance(4) else ""
            written += f" {side} {other.written} ON {on}"
            joined.append(other)
        return written, self.one(*joined), joined

    def where(self, tables: list[Made]) -> str:
        """Return a WHERE, or nothing."""
        if not self.chance(2):
            return ""
        if self.chance(4):
            inner, outer = self.one(*self._tables), self.one(*tables)
            self.is_loose = True
            within = Made(inner.table, inner.names, "i")
            test = f" AND {self.condition(within)}" if self.chance(2) else ""
            exists = f"EXISTS (SELECT * FROM {within.written} WHERE {within['key']} = {outer['key']}{test})"
            member = f"{outer['key']} IN (SELECT {within['key']} FROM {within.written} WHERE true{test})"
            missing = f"{outer['key']} NOT IN (SELECT {within['key']} FROM {within.written} WHERE {within['key']} IS NOT NULL{test})"
            forms = (exists, member, f"{member} AND {self.condition(outer)}", f"NOT {exists}", missing)
            return f" WHERE {self.one(*forms)}"
        if self.chance(6):
            inner = self.one(*self._tables)
            self.is_loose = True
            return f" WHERE {self.one(*tables)['int']} > (SELECT avg({inner['int']}) FROM {inner.written})"
        return f" WHERE {self.condition(self.one(*tables))}"

    # ----------------------------------------------------------------------------------------------------- queries

    def grouped(self, *, aggregates: int = 3) -> tuple[str, int]:
        """Return a grouped SELECT with columns ``k0`` …, ``a0`` …, and how many of them are keys."""
        written, table, tables = self.source()
        keys = self.keys(table)
        asked = [self.aggregate(self.one(*tables)) for _ in range(self.one(*range(1, aggregates + 1)))]
        items = [f"{key} AS k{i}" for i, key in enumerate(keys)] + [f"{a} AS a{i}" for i, a in enumerate(asked)]
        sql = f"SELECT {', '.join(items)} {written}{self.where(tables)}"
        if keys:
            sql += f" GROUP BY {', '.join(keys)}"
            sql += f" HAVING count(*) {self.one('>', '<=')} {self.one(2, 5, 9)}" if self.chance(5) else ""
        return sql, len(keys)

    def several_sets(self) -> str:
        """Return a grouped SELECT with totals beside their parts."""
        self.is_loose = True
        written, table, tables = self.source()
        keys = self._random.sample((table["cat"], table["key"], table["flag"], f"year({table['day']})"), 2)
        both = ", ".join(keys)
        group = self.one(
            f"ROLLUP ({both})", f"CUBE ({both})", f"GROUPING SETS (({both}), ({keys[1]}), ())",
            f"{keys[0]}, ROLLUP ({keys[1]})", f"GROUPING SETS ({keys[0]}, {keys[1]})", f"ROLLUP (({both}))",
        )  # fmt: skip
        items = [
            f"{keys[0]} AS k0",
            f"{keys[1]} AS k1",
            self.one(f"grouping({both}) AS g", f"grouping({keys[1]}) AS g", "1 AS g"),
        ]
        items += [f"{self.aggregate(self.one(*tables))} AS a{i}" for i in range(self.one(1, 2))]
        return f"SELECT {', '.join(items)} {written}{self.where(tables)} GROUP BY {group}"

    def beside_rows(self) -> str:
        """Return rows with what their group, or their unit, adds up to."""
        written, table, tables = self.source()
        by = self.one("cat", "key", "flag", "unit", "")
        partition = f"PARTITION BY {table[by]}" if by else ""
        made = self.aggregate(table)
        window = f"{made} OVER ({partition})"
        if self.chance(3):
            order = f"ORDER BY {table['int']}, {table['dec']}, {table['day']}, {table['key']}, {table['cat']}"
            call = self.one("rank()", "dense_rank()", f"count({table['int']})", f"min({table['dec']})")
            window = f"{call} OVER ({partition} {order})"
        where = f" WHERE {self.condition(self.one(*tables))}" if self.chance(2) else ""
        rows = f"SELECT {table['cat']} AS c, {table['int']} AS v, {window} AS w {written}{where}"
        if self.chance(2):
            return rows
        self.is_loose = True
        return f"SELECT c, count(*) AS n, count(w) AS m, sum(v) AS s FROM ({rows}) AS b GROUP BY c"

    def by_units(self) -> str:
        """Return how many units of one table are, or are not, in another."""
        self.is_loose = True
        left, right = self.one(*self._tables), self.one(*self._tables)
        sides = [f"SELECT {t['unit']} AS u FROM {t.written}{self.where([t])}" for t in (left, right)]
        if self.chance(2):
            return f"SELECT count(*) AS n FROM ({sides[0]} {self.one('INTERSECT', 'EXCEPT')} {sides[1]}) AS s"
        link = "ON l.u = r.u"
        return f"SELECT count(*) AS n FROM ({sides[0]}) AS l {self.one('SEMI', 'ANTI')} JOIN ({sides[1]}) AS r {link}"

    def over_groups(self) -> str:
        """Return a SELECT over the groups of another."""
        inner, keys = self.grouped(aggregates=1)
        order = ", ".join(f"k{i}" for i in range(keys)) or "a0"
        form = self.one("window", "running", "rank", "again", "filter", "top", "case")
        if form == "window":
            return f"SELECT *, sum(a0) OVER () AS w, count(*) OVER () AS n FROM ({inner}) AS g"
        if form == "running":
            return f"SELECT *, count(a0) OVER (ORDER BY {order}) AS w, lag(a0) OVER (ORDER BY {order}) AS l FROM ({inner}) AS g"
        if form == "rank":
            return f"SELECT *, rank() OVER (ORDER BY a0 DESC) AS w FROM ({inner}) AS g QUALIFY dense_rank() OVER (ORDER BY a0) < 4"
        if form == "again":
            return f"SELECT count(*) AS n, min(a0) AS low, max(a0) AS high FROM ({inner}) AS g"
        if form == "filter":
            return f"SELECT * FROM ({inner}) AS g WHERE a0 IS NOT NULL AND a0 <> 0"
        if form == "top":
            return f"SELECT * FROM ({inner}) AS g ORDER BY {order} LIMIT {self.one(1, 3)} OFFSET {self.one(0, 1)}"
        return f"SELECT CASE WHEN a0 > 3 THEN 'more' END AS c, count(*) AS n FROM ({inner}) AS g GROUP BY c"

    def derived(self) -> str:
        """Return an aggregate over rows that a subquery has reckoned."""
        written, table, tables = self.source()
        inner = f"SELECT {table['cat']} AS k, {self.number(table)} AS v {written}{self.where(tables)}"
        return f"SELECT k AS k0, {self.one('sum(v)', 'avg(v)', 'count(v)', 'sum(v * 2)', 'count(*)')} AS a0 FROM ({inner}) AS d GROUP BY k"

    def counted(self, t: Made, by: str) -> str:
        """Return a small aggregate by one column."""
        aggregate = self.one("count(*)", f"count({t['cat']})", f"sum({t['int']})")
        return f"SELECT {t[by]} AS k, {aggregate} AS n FROM {t.written} GROUP BY {t[by]}"

    def two_parts(self) -> str:
        """Return a statement of two guarded parts: a join of groups, a set operation, a total beside its parts."""
        self.is_loose = True
        table = self.one(*self._tables)
        by = self.one("cat", "key", "flag")
        left, right = (self.counted(t, by) for t in (table, self.one(*self._tables)))
        form = self.one("join", "union", "set", "total", "cte")
        if form == "join":
            return f"WITH l AS ({left}), r AS ({right}) SELECT l.k, l.n, r.n AS m FROM l {self.one('LEFT ', '')}JOIN r ON l.k = r.k"
        if form == "cte":
            return f"WITH l AS ({left}) SELECT k, n FROM l WHERE n > (SELECT avg(n) FROM l)"
        if form == "total":
            total = f"(SELECT count(*) FROM {table.written})"
            return (
                f"SELECT {table['cat']} AS k, count(*) AS n, {total} AS t FROM {table.written} GROUP BY {table['cat']}"
            )
        operator = "UNION ALL" if form == "union" else self.one("UNION", "INTERSECT", "EXCEPT")
        return f"{left} {operator} {right}"

    def rows(self) -> str:
        """Return a SELECT of rows, or of different rows."""
        written, table, tables = self.source()
        items = f"{table['cat']} AS c, {self.one(table['int'], table['day'], table['flag'])} AS v"
        return f"SELECT {self.one('', 'DISTINCT ')}{items} {written}{self.where(tables)}"

    def by_unit(self) -> str:
        """Return an aggregate over what single units add up to."""
        self.is_loose = True
        table = self.one(*self._tables)
        aggregate = self.one("count(*)", f"count({table['cat']})", f"sum({table['int']})", f"sum({table['dec']})")
        inner = f"SELECT {table['unit']} AS u, {aggregate} AS n FROM {table.written}{self.where([table])} GROUP BY {table['unit']}"
        outer = self.one(
            "SELECT n, count(*) AS units", "SELECT n > 3 AS much, count(*) AS units, sum(n) AS s, avg(n) AS m"
        )
        return f"{outer} FROM ({inner}) AS g GROUP BY {'n > 3' if 'much' in outer else 'n'}"

    def united(self) -> str:
        """Return an aggregate over rows of one table under each other."""
        self.is_loose = True
        table = self.one(*self._tables)
        sides = [
            f"SELECT {table['cat']} AS c, {self.number(table)} AS v FROM {table.written}{self.where([table])}"
            for _ in range(2)
        ]
        return f"SELECT c, count(*) AS n, sum(v) AS s FROM ({sides[0]} UNION ALL {sides[1]}) AS u GROUP BY c"

    def statement(self) -> str:
        """Return any of them."""
        forms = (
            self.grouped,
            self.grouped,
            self.grouped,
            self.over_groups,
            self.derived,
            self.two_parts,
            self.rows,
            self.united,
            self.several_sets,
            self.beside_rows,
            self.by_units,
        )
        made = self.one(*forms)()
        return made if isinstance(made, str) else made[0]


def case_of(seed: int) -> Case:
    """Make the case of a seed."""
    random = Random(seed)
    tables = [_table(random, number) for number in range(random.randint(1, 3))]
    sql = Sql(random, tables)
    statement = sql.statement()
    return Case(seed, tuple(made.table for made in tables), statement, sql.is_loose)


cases = st.integers(0, 2**48).map(case_of)
"""Cases of random seeds. A failure names the seed."""
