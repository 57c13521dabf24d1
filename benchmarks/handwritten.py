"""Statements over TPC-H with the same thresholds written by hand, as a good engineer would write them.

The joined rows are named once. For each kind of privacy unit (customers and suppliers; what joins make equal is one kind),
every unit's rows and sums are made in one pass, and out of these the units behind each cell, the totals and the two largest
parts; the group is shown if all of it holds. The thresholds are those that the gate asks for: also the columns that a product or
difference is made of may not be one or two units', and enough units' parts of it must not cancel. Not written by hand are the
warning of negative parts, which decides nothing, and the safety of casts.
"""

# ruff: noqa: S608 - the text is made of names and expressions that stand here

from dataclasses import dataclass, field

from benchmarks.tpch import THRESHOLDS
from tests.tpch.queries import QUESTIONS

CUSTOMER, ORDER, LINE, SUPPLIER = (f'"{table}"."unit:"' for table in ("customer", "orders", "lineitem", "supplier"))
CANCELLED = 1e-9
PRICE = {"listed": "l_extendedprice", "off": "l_discount"}
VOLUME = "CAST(l_extendedprice AS DOUBLE) * (1 - CAST(l_discount AS DOUBLE))"
SOLD = """lineitem JOIN orders ON "key:l_orderkey" = "key:o_orderkey" """
SOLD_BY = f"""{SOLD} JOIN supplier ON "key:l_suppkey" = "key:s_suppkey" """
SOLD_BY_TO = f"""{SOLD_BY} JOIN customer ON "key:o_custkey" = "key:c_custkey" """
BOTH_NATIONS = f"""{SOLD_BY_TO} JOIN nation AS seller ON seller."key:n_nationkey" = "key:s_nationkey"
    JOIN nation AS buyer ON buyer."key:n_nationkey" = "key:c_nationkey" """
OF_PART = """lineitem JOIN part ON "key:l_partkey" = "key:p_partkey" """


@dataclass(frozen=True)
class ByHand:
    """A statement and its parts for the version by hand.

    ``keys``, ``sums``, ``counts``, ``rests`` and ``parts`` are SQL by name; ``counts`` and ``rests`` are conditions. Behind each of
    ``sums``, ``counts`` and ``rests`` (what is left when one is subtracted from another) enough units must stand. No unit may
    dominate ``sums`` and ``parts`` (what sums are made of); the parts of ``nets``, among the sums, could cancel. ``shown`` is what
    is shown of a group, in the statement's order of columns; ``units`` are those that a row carries.
    """

    name: str
    sql: str
    rows: str
    units: tuple[str, ...]
    shown: str
    where: str = "true"
    having: str = "true"
    keys: dict[str, str] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    rests: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    nets: tuple[str, ...] = ()

    def written(self) -> str:
        """Write the version by hand."""
        columns = (self.keys, self.sums, self.counts, self.rests, self.parts)
        items = [f"{sql} AS {name}" for part in columns for name, sql in part.items()]
        items += [f"{sql} AS u{i}" for i, sql in enumerate(self.units)]
        ctes = [f"given AS (SELECT {', '.join(items)} FROM {self.rows} WHERE {self.where})"]
        for i in range(len(self.units)):
            ctes += [self._by_unit(i), self._by_group(i)]
        same = [f"g0.{key} IS NOT DISTINCT FROM g{{i}}.{key}" for key in self.keys]
        on = " AND ".join(same) or "true"
        joins = "".join(f" JOIN g{i} ON {on.format(i=i)}" for i in range(1, len(self.units)))
        tests = [test for i in range(len(self.units)) for test in self._tests(i)]
        return f"WITH {', '.join(ctes)} SELECT {self.shown} FROM g0{joins} WHERE {' AND '.join([*tests, self.having])}"

    def _by_unit(self, i: int) -> str:
        columns = [*(f"g.{key}" for key in self.keys), f"g.u{i}"]
        each = ["count(*) AS n", *(f"sum(g.{s}) AS {s}, count(g.{s}) AS n_{s}" for s in self.sums)]
        each += [f"count(*) FILTER (g.{c}) AS n_{c}" for c in (*self.counts, *self.rests)]
        each += [f"sum(g.{p}) AS {p}" for p in self.parts] + [f"sum(abs(g.{s})) AS size_{s}" for s in self.nets]
        return f"by{i} AS (SELECT {', '.join([*columns, *each])} FROM given AS g GROUP BY {', '.join(columns)})"

    def _by_group(self, i: int) -> str:
        known = f"u{i} <> 0"
        parts = [*self.keys, f"count(*) FILTER ({known}) AS units{i}"]
        for s in (*self.sums, *self.parts):
            parts += [f"sum(abs({s})) AS all_{s}{i}", f"max(abs({s}), 2) AS top_{s}{i}"]
        parts += [f"count(*) FILTER (abs({s}) > {CANCELLED} * size_{s} AND {known}) AS moved_{s}{i}" for s in self.nets]
        cells = (*self.sums, *self.counts, *self.rests)
        parts += [f"count(*) FILTER (n_{c} > 0 AND {known}) AS units_{c}{i}" for c in cells]
        if i == 0:
            parts += ["sum(n) AS n", *(f"sum({s}) AS {s}" for s in self.sums)]
            parts += [f"sum(n_{c}) AS n_{c}" for c in (*self.sums, *self.counts)]
        by = f" GROUP BY {', '.join(self.keys)}" if self.keys else ""
        return f"g{i} AS (SELECT {', '.join(parts)} FROM by{i}{by})"

    def _tests(self, i: int) -> list[str]:
        fewest, p, k = THRESHOLDS.units_min, THRESHOLDS.dominance_p_percent, THRESHOLDS.dominance_top_percent
        cells = (*self.sums, *self.counts, *self.rests)
        made = [f"units{i} >= {fewest}", *(f"units_{cell}{i} >= {fewest}" for cell in cells)]
        made += [f"moved_{s}{i} >= {fewest}" for s in self.nets]
        for s in (*self.sums, *self.parts):
            total, first, second = f"all_{s}{i}", f"top_{s}{i}[1]", f"coalesce(top_{s}{i}[2], 0)"
            p_rule = f"{total} - {first} - {second} >= {p / 100} * {first}"
            made.append(f"({total} = 0 OR ({p_rule} AND {first} + {second} <= {k / 100} * {total}))")
        return made


def _question(number: int) -> str:
    return next(q.sql for q in QUESTIONS if q.number == number)


STATEMENTS: tuple[ByHand, ...] = (
    ByHand(
        "TPC-H 1", _question(1), "lineitem", (LINE,),
        "flag, status, quantity, price, discounted, charge, quantity / n_quantity, price / n_price, discount / n_discount, n",
        "l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY",
        keys={"flag": "l_returnflag", "status": "l_linestatus"},
        sums={
            "quantity": "l_quantity", "price": "l_extendedprice", "discounted": VOLUME,
            "charge": f"{VOLUME} * (1 + CAST(l_tax AS DOUBLE))", "discount": "l_discount",
        },
        parts={"tax": "l_tax"}, nets=("discounted", "charge"),
    ),
    ByHand(
        "TPC-H 5", _question(5),
        f"""{SOLD_BY_TO} JOIN nation ON "key:n_nationkey" = "key:s_nationkey" AND "key:s_nationkey" = "key:c_nationkey"
        JOIN region ON "key:r_regionkey" = "key:n_regionkey" """,
        (ORDER, LINE), "g0.n_name, revenue",
        "r_name = 'ASIA' AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01'",
        keys={"n_name": "n_name"}, sums={"revenue": VOLUME}, parts=PRICE, nets=("revenue",),
    ),
    ByHand(
        "TPC-H 6", _question(6), "lineitem", (LINE,), "revenue",
        """l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05 AND 0.07
        AND l_quantity < 24""",
        sums={"revenue": "CAST(l_extendedprice AS DOUBLE) * CAST(l_discount AS DOUBLE)"}, parts=PRICE, nets=("revenue",),
    ),
    ByHand(
        "TPC-H 7", _question(7), BOTH_NATIONS, (SUPPLIER, ORDER), "g0.seller, g0.buyer, g0.y, volume",
        """l_shipdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31' AND (seller.n_name = 'FRANCE' AND
        buyer.n_name = 'GERMANY' OR seller.n_name = 'GERMANY' AND buyer.n_name = 'FRANCE')""",
        keys={"seller": "seller.n_name", "buyer": "buyer.n_name", "y": "year(l_shipdate)"}, sums={"volume": VOLUME},
        parts=PRICE, nets=("volume",),
    ),
    ByHand(
        "TPC-H 8", _question(8),
        f"""{BOTH_NATIONS} JOIN region ON "key:r_regionkey" = buyer."key:n_regionkey"
        JOIN part ON "key:l_partkey" = "key:p_partkey" """,
        (LINE, ORDER), "g0.y, brazil / volume",
        """r_name = 'AMERICA' AND p_type = 'ECONOMY ANODIZED STEEL'
        AND o_orderdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31'""",
        keys={"y": "year(o_orderdate)"},
        sums={"volume": VOLUME, "brazil": f"CASE WHEN seller.n_name = 'BRAZIL' THEN {VOLUME} ELSE 0 END"},
        counts={"is_brazil": "seller.n_name = 'BRAZIL'"}, rests={"no_brazil": "seller.n_name <> 'BRAZIL'"},
        parts=PRICE | {f"{name}_if": f"CASE WHEN seller.n_name = 'BRAZIL' THEN {part} END" for name, part in PRICE.items()},
        nets=("volume", "brazil"),
    ),
    ByHand(
        "TPC-H 9", _question(9),
        f"""{SOLD_BY} JOIN part ON "key:l_partkey" = "key:p_partkey"
        JOIN partsupp ON "key:ps_partkey" = "key:l_partkey" AND "key:ps_suppkey" = "key:l_suppkey"
        JOIN nation ON "key:n_nationkey" = "key:s_nationkey" """,
        (LINE, ORDER), "g0.n_name, g0.y, amount", "p_name LIKE '%green%'",
        keys={"n_name": "n_name", "y": "year(o_orderdate)"},
        sums={"amount": f"{VOLUME} - CAST(ps_supplycost AS DOUBLE) * CAST(l_quantity AS DOUBLE)"},
        parts=PRICE | {
            "volume": VOLUME, "cost": "CAST(ps_supplycost AS DOUBLE) * CAST(l_quantity AS DOUBLE)", "each": "ps_supplycost",
            "quantity": "l_quantity",
        },
        nets=("amount",),
    ),
    ByHand(
        "TPC-H 12", _question(12), SOLD, (LINE, ORDER), "g0.mode, n_urgent, n_other",
        """l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate
        AND l_receiptdate >= DATE '1994-01-01' AND l_receiptdate < DATE '1995-01-01'""",
        keys={"mode": "l_shipmode"},
        counts={
            "urgent": "o_orderpriority IN ('1-URGENT', '2-HIGH')", "other": "o_orderpriority NOT IN ('1-URGENT', '2-HIGH')",
        },  # what one leaves of all is the other
    ),
    ByHand(
        "TPC-H 14", _question(14), OF_PART, (LINE,), "100.0 * promoted / volume",
        "l_shipdate >= DATE '1995-09-01' AND l_shipdate < DATE '1995-10-01'",
        sums={"volume": VOLUME, "promoted": f"CASE WHEN p_type LIKE 'PROMO%' THEN {VOLUME} ELSE 0 END"},
        counts={"promo": "p_type LIKE 'PROMO%'"}, rests={"no_promo": "p_type NOT LIKE 'PROMO%'"},
        parts=PRICE | {f"{name}_if": f"CASE WHEN p_type LIKE 'PROMO%' THEN {part} END" for name, part in PRICE.items()},
        nets=("volume", "promoted"),
    ),
    ByHand(
        "TPC-H 19", _question(19), OF_PART, (LINE,), "volume",
        """l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON' AND (
        p_brand = 'Brand#12' AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG')
        AND l_quantity BETWEEN 1 AND 11 AND p_size BETWEEN 1 AND 5
        OR p_brand = 'Brand#23' AND p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
        AND l_quantity BETWEEN 10 AND 20 AND p_size BETWEEN 1 AND 10
        OR p_brand = 'Brand#34' AND p_container IN ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG')
        AND l_quantity BETWEEN 20 AND 30 AND p_size BETWEEN 1 AND 15)""",
        sums={"volume": VOLUME}, parts=PRICE, nets=("volume",),
    ),
    ByHand(
        "orders by priority and year",
        """SELECT o_orderpriority, year(o_orderdate) AS y, count(*) AS n, sum(o_totalprice) AS total, avg(o_totalprice) AS mean
        FROM orders GROUP BY o_orderpriority, y""",
        "orders", (ORDER,), "priority, y, n, price, price / n_price",
        keys={"priority": "o_orderpriority", "y": "year(o_orderdate)"}, sums={"price": "o_totalprice"},
    ),
    ByHand(
        "customers by segment",
        """SELECT c_mktsegment, count(*) AS customers, avg(c_acctbal) AS balance, count(*) FILTER (WHERE c_acctbal < 0) AS owing
        FROM customer GROUP BY c_mktsegment""",
        "customer", (CUSTOMER,), "segment, n, balance / n_balance, n_owing",
        keys={"segment": "c_mktsegment"}, sums={"balance": "c_acctbal"}, counts={"owing": "c_acctbal < 0"},
        rests={"not_owing": "NOT coalesce(c_acctbal < 0, false)"},
    ),
    ByHand(
        "orders and customers by segment and month",
        """SELECT c_mktsegment, date_trunc('month', o_orderdate) AS month, count(*) AS orders,
        count(DISTINCT c_custkey) AS customers, sum(o_totalprice) AS total FROM customer
        JOIN orders ON o_custkey = c_custkey GROUP BY c_mktsegment, month""",
        """customer JOIN orders ON "key:o_custkey" = "key:c_custkey" """, (CUSTOMER,),
        "g0.segment, g0.month, n, units0, price",
        keys={"segment": "c_mktsegment", "month": "CAST(date_trunc('month', o_orderdate) AS DATE)"},
        sums={"price": "o_totalprice"},
    ),
    ByHand(
        "much used ways of shipping",
        """SELECT l_shipmode, l_shipinstruct, count(*) AS lines, avg(l_quantity) AS quantity FROM lineitem
        WHERE l_shipdate >= DATE '1996-01-01' GROUP BY l_shipmode, l_shipinstruct HAVING count(*) > 50000""",
        "lineitem", (LINE,), "mode, instruct, n, quantity / n_quantity", "l_shipdate >= DATE '1996-01-01'", "n > 50000",
        keys={"mode": "l_shipmode", "instruct": "l_shipinstruct"}, sums={"quantity": "l_quantity"},
    ),
    ByHand(
        "late lines by supplier's nation",
        """SELECT n_name, count(*) AS late, sum(l_quantity) AS quantity FROM lineitem JOIN supplier ON l_suppkey = s_suppkey
        JOIN nation ON n_nationkey = s_nationkey WHERE l_receiptdate > l_commitdate GROUP BY n_name""",
        """lineitem JOIN supplier ON "key:l_suppkey" = "key:s_suppkey" JOIN nation ON "key:n_nationkey" = "key:s_nationkey" """,
        (LINE,), "g0.n_name, n, quantity", "l_receiptdate > l_commitdate",
        keys={"n_name": "n_name"}, sums={"quantity": "l_quantity"},
    ),
)  # fmt: skip
