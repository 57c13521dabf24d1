"""How long the gate takes to decide: over statements in the manner of TPC-H, permitted and refused ones."""

import gc
import statistics
import time

from gongshu.base.decisions import Permitted
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, Use

ROUNDS, WARM_UP_ROUNDS = 40, 3
P50_LIMIT_MS, P99_LIMIT_MS = 5.0, 20.0
THRESHOLDS = Thresholds(10, 10, 2, 90)
T, N, D, I = DataType.TEXT, DataType.DECIMAL, DataType.DATE, DataType.INTEGER  # noqa: E741 - a table of types

SCHEMA: dict[str, tuple[str, dict[str, DataType]]] = {
    "customer": ("c_key", {"c_key": I, "c_name": T, "c_nation": I, "c_phone": T, "c_balance": N, "c_segment": T}),
    "orders": (
        "o_customer",
        {"o_key": I, "o_customer": I, "o_status": T, "o_price": N, "o_date": D, "o_priority": T, "o_ship": I},
    ),
    "lineitem": (
        "l_supplier",
        {
            "l_order": I, "l_part": I, "l_supplier": I, "l_quantity": N, "l_price": N, "l_discount": N, "l_tax": N,
            "l_flag": T, "l_status": T, "l_shipped": D, "l_committed": D, "l_received": D, "l_mode": T,
        },
    ),
    "supplier": ("s_key", {"s_key": I, "s_name": T, "s_nation": I, "s_balance": N}),
    "part": ("", {"p_key": I, "p_brand": T, "p_type": T, "p_size": I, "p_container": T}),
    "nation": ("", {"n_key": I, "n_name": T, "n_region": I}),
    "region": ("", {"r_key": I, "r_name": T}),
}  # fmt: skip

STATEMENTS = (
    """
    SELECT l_flag, l_status, sum(l_quantity), sum(l_price), sum(l_price * (1 - l_discount)), avg(l_quantity),
    avg(l_discount), count(*) FROM lineitem WHERE l_shipped <= DATE '1998-12-01' - INTERVAL 90 DAY GROUP BY l_flag,
    l_status ORDER BY l_flag
    """,
    """
    SELECT o_date, o_ship, sum(l_price * (1 - l_discount)) AS revenue FROM customer, orders, lineitem WHERE
    c_segment = 'BUILDING' AND c_key = o_customer AND l_order = o_key AND o_date < DATE '1995-03-15' AND l_shipped >
    DATE '1995-03-15' GROUP BY o_date, o_ship ORDER BY revenue DESC, o_date LIMIT 10
    """,
    """
    SELECT o_priority, count(*) AS orders_late FROM orders JOIN lineitem ON l_order = o_key AND l_committed <
    l_received WHERE o_date >= DATE '1993-07-01' AND o_date < DATE '1993-10-01' GROUP BY o_priority ORDER BY
    o_priority
    """,
    """
    SELECT n_name, sum(l_price * (1 - l_discount)) AS revenue FROM customer, orders, lineitem, supplier, nation,
    region WHERE c_key = o_customer AND l_order = o_key AND l_supplier = s_key AND c_nation = s_nation AND s_nation
    = n_key AND n_region = r_key AND r_name = 'ASIA' GROUP BY n_name ORDER BY revenue DESC
    """,
    """
    SELECT sum(l_price * l_discount) AS revenue FROM lineitem WHERE l_shipped BETWEEN '1994-01-01' AND '1994-12-31'
    AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24
    """,
    """
    SELECT supp, cust, y, sum(volume) AS revenue FROM (SELECT n1.n_name AS supp, n2.n_name AS cust, year(l_shipped)
    AS y, l_price * (1 - l_discount) AS volume FROM supplier, lineitem, orders, customer, nation AS n1, nation AS n2
    WHERE s_key = l_supplier AND o_key = l_order AND c_key = o_customer AND s_nation = n1.n_key AND c_nation =
    n2.n_key AND ((n1.n_name = 'FRANCE' AND n2.n_name = 'GERMANY') OR (n1.n_name = 'GERMANY' AND n2.n_name =
    'FRANCE'))) AS s GROUP BY supp, cust, y ORDER BY supp, cust, y
    """,
    """
    SELECT y, sum(CASE WHEN nation = 'BRAZIL' THEN volume ELSE 0 END) / sum(volume) AS share FROM (SELECT
    year(o_date) AS y, l_price * (1 - l_discount) AS volume, n_name AS nation FROM part, supplier, lineitem, orders,
    nation WHERE p_key = l_part AND s_key = l_supplier AND l_order = o_key AND s_nation = n_key AND p_type =
    'STEEL') AS s GROUP BY y ORDER BY y
    """,
    """
    SELECT l_mode, sum(CASE WHEN o_priority = '1-URGENT' OR o_priority = '2-HIGH' THEN 1 ELSE 0 END) AS high,
    sum(CASE WHEN o_priority <> '1-URGENT' AND o_priority <> '2-HIGH' THEN 1 ELSE 0 END) AS low FROM orders,
    lineitem WHERE o_key = l_order AND l_mode IN ('MAIL', 'SHIP') AND l_committed < l_received AND l_shipped <
    l_committed AND l_received >= '1994-01-01' GROUP BY l_mode ORDER BY l_mode
    """,
    """
    SELECT 100.00 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_price * (1 - l_discount) ELSE 0 END) / sum(l_price *
    (1 - l_discount)) AS promo FROM lineitem, part WHERE l_part = p_key AND l_shipped >= '1995-09-01'
    """,
    """
    WITH revenue AS (SELECT l_mode AS mode, sum(l_price * (1 - l_discount)) AS total FROM lineitem GROUP BY l_mode)
    SELECT mode, total FROM revenue WHERE total > (SELECT avg(total) FROM revenue) ORDER BY mode
    """,
    """
    SELECT p_brand, p_type, p_size, count(DISTINCT l_supplier) AS suppliers FROM lineitem JOIN part ON p_key =
    l_part WHERE p_brand <> 'Brand#45' AND p_type NOT LIKE 'MEDIUM%' AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9)
    GROUP BY p_brand, p_type, p_size ORDER BY suppliers DESC
    """,
    """
    SELECT sum(l_price) / 7.0 AS yearly FROM lineitem JOIN part ON p_key = l_part WHERE p_brand = 'Brand#23' AND
    l_quantity < (SELECT 0.2 * avg(l_quantity) FROM lineitem)
    """,
    """
    SELECT sum(l_price * (1 - l_discount)) AS revenue FROM lineitem, part WHERE p_key = l_part AND ((p_brand =
    'Brand#12' AND p_container IN ('SM CASE', 'SM BOX') AND l_quantity >= 1 AND l_quantity <= 11 AND p_size BETWEEN
    1 AND 5) OR (p_brand = 'Brand#23' AND p_container IN ('MED BAG', 'MED BOX') AND l_quantity >= 10 AND p_size
    BETWEEN 1 AND 10))
    """,
    """
    SELECT substring(c_phone, 1, 2) AS code, count(*) AS customers, sum(c_balance) AS total FROM customer WHERE
    substring(c_phone, 1, 2) IN ('13', '31', '23') AND c_balance > (SELECT avg(c_balance) FROM customer WHERE
    c_balance > 0.00) GROUP BY code ORDER BY code
    """,
    """
    SELECT o_status, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) AS place FROM orders GROUP BY o_status
    """,
    """
    SELECT c_segment, median(c_balance) AS middle FROM customer GROUP BY c_segment UNION ALL SELECT o_status,
    median(o_price) FROM orders GROUP BY o_status
    """,
)
REFUSED = (
    "SELECT l_order, any_value(l_price) FROM lineitem GROUP BY 1",
    "SELECT * FROM customer CROSS JOIN orders",
    "SELECT c_name, error(c_phone) FROM customer WHERE EXISTS (SELECT 1 FROM orders WHERE o_customer = c_key)",
)


def relations() -> tuple[Relation, ...]:
    """Return the relations with every use but ``reveal``, which only the small open tables have."""
    made = []
    for name, (unit, columns) in SCHEMA.items():
        uses = frozenset(Use) if not unit else frozenset(Use) - {Use.REVEAL}
        policy = ResourcePolicy(tuple(ColumnPolicy(c, uses) for c in columns), (unit,) if unit else ())
        shown = tuple(RelationColumn(c, kind) for c, kind in columns.items())
        made.append(Relation(name, ResourceId(name), shown, policy))
    return tuple(made)


def measure() -> dict[str, dict[str, float | str]]:
    """Return the median and the 99th percentile over all statements, after a warm-up."""
    given = relations()
    for sql in STATEMENTS:
        decision = decide_query(given, THRESHOLDS, sql)
        if not isinstance(decision, Permitted):
            raise TypeError(f"refused: {[(r.code, r.facts) for r in decision.reasons]} {sql}")
    gc.collect()
    gc.freeze()  # as the server does when it starts
    spans = []
    for turn in range(WARM_UP_ROUNDS + ROUNDS):
        for sql in (*STATEMENTS, *REFUSED):
            start = time.perf_counter()
            decide_query(given, THRESHOLDS, sql)
            if turn >= WARM_UP_ROUNDS:
                spans.append((time.perf_counter() - start) * 1000)
    gc.unfreeze()
    p99 = statistics.quantiles(spans, n=100)[98]
    return {
        "gate_ms_p50": {"value": statistics.median(spans), "unit": "ms", "limit": "5 ms", "limit_value": P50_LIMIT_MS},
        "gate_ms_p99": {"value": p99, "unit": "ms", "limit": "20 ms", "limit_value": P99_LIMIT_MS},
    }
