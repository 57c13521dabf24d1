"""The nearest form of a question of TPC-H that passes with default uses and shows something. The others pass as they stand."""

NEAREST: dict[int, str] = {
    2: """
        SELECT p_mfgr, count(DISTINCT ps_suppkey) AS suppliers, avg(ps_supplycost) AS cost_mean
        FROM part
        JOIN partsupp ON ps_partkey = p_partkey
        WHERE p_size = 15 AND p_type LIKE '%BRASS'
        GROUP BY p_mfgr
        ORDER BY p_mfgr
    """,
    3: """
        SELECT date_trunc('month', o_orderdate) AS month, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM customer
        JOIN orders ON o_custkey = c_custkey
        JOIN lineitem ON l_orderkey = o_orderkey
        WHERE c_mktsegment = 'BUILDING' AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
        GROUP BY month
        ORDER BY revenue DESC
        LIMIT 10
    """,
    5: """
        SELECT s_nationkey, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM orders
        JOIN lineitem ON l_orderkey = o_orderkey
        JOIN supplier ON s_suppkey = l_suppkey
        WHERE o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1994-01-01' + INTERVAL 1 YEAR
        GROUP BY s_nationkey
        ORDER BY revenue DESC
    """,
    7: """
        SELECT s_nationkey, c_nationkey, extract(YEAR FROM l_shipdate) AS ship_year,
            sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM supplier
        JOIN lineitem ON l_suppkey = s_suppkey
        JOIN orders ON o_orderkey = l_orderkey
        JOIN customer ON c_custkey = o_custkey
        WHERE l_shipdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31' AND (
            (s_nationkey = 6 AND c_nationkey = 7) OR (s_nationkey = 7 AND c_nationkey = 6)
        )
        GROUP BY s_nationkey, c_nationkey, ship_year
        ORDER BY s_nationkey, c_nationkey, ship_year
    """,
    8: """
        SELECT extract(YEAR FROM o_orderdate) AS order_year,
            sum(CASE WHEN s_nationkey = 2 THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
                / sum(l_extendedprice * (1 - l_discount)) AS share
        FROM part
        JOIN lineitem ON l_partkey = p_partkey
        JOIN supplier ON s_suppkey = l_suppkey
        JOIN orders ON o_orderkey = l_orderkey
        WHERE p_type LIKE 'ECONOMY%' AND o_orderdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31'
        GROUP BY order_year
        ORDER BY order_year
    """,
    9: """
        SELECT s_nationkey, extract(YEAR FROM o_orderdate) AS order_year, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM part
        JOIN lineitem ON l_partkey = p_partkey
        JOIN supplier ON s_suppkey = l_suppkey
        JOIN orders ON o_orderkey = l_orderkey
        WHERE p_name LIKE '%green%'
        GROUP BY s_nationkey, order_year
        ORDER BY s_nationkey, order_year DESC
    """,
    10: """
        SELECT c_nationkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, count(DISTINCT c_custkey) AS customers
        FROM customer
        JOIN orders ON o_custkey = c_custkey
        JOIN lineitem ON l_orderkey = o_orderkey
        WHERE o_orderdate >= DATE '1993-10-01' AND o_orderdate < DATE '1993-10-01' + INTERVAL 3 MONTH
            AND l_returnflag = 'R'
        GROUP BY c_nationkey
        ORDER BY revenue DESC
    """,
    11: """
        SELECT p_mfgr, sum(ps_availqty) AS pieces, avg(ps_supplycost) AS cost_mean
        FROM partsupp
        JOIN part ON p_partkey = ps_partkey
        JOIN supplier ON s_suppkey = ps_suppkey
        WHERE s_nationkey = 7
        GROUP BY p_mfgr
        ORDER BY pieces DESC
    """,
    13: """
        SELECT c_mktsegment, count(*) AS orders, count(DISTINCT c_custkey) AS customers
        FROM customer
        JOIN orders ON o_custkey = c_custkey
        GROUP BY c_mktsegment
        ORDER BY orders DESC
    """,
    15: """
        SELECT s_nationkey, sum(l_extendedprice * (1 - l_discount)) AS total
        FROM lineitem
        JOIN supplier ON s_suppkey = l_suppkey
        WHERE l_shipdate >= DATE '1996-01-01' AND l_shipdate < DATE '1996-01-01' + INTERVAL 3 MONTH
        GROUP BY s_nationkey
        ORDER BY total DESC
        LIMIT 1
    """,
    16: """
        SELECT p_brand, p_size, count(DISTINCT ps_suppkey) AS suppliers
        FROM partsupp
        JOIN part ON p_partkey = ps_partkey
        WHERE p_brand <> 'Brand#45' AND p_type NOT LIKE 'MEDIUM POLISHED%' AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9)
        GROUP BY p_brand, p_size
        ORDER BY suppliers DESC, p_brand, p_size
    """,
    17: """
        SELECT sum(l_extendedprice) / 7.0 AS yearly_mean
        FROM lineitem
        JOIN part ON p_partkey = l_partkey
        WHERE p_brand = 'Brand#23' AND l_quantity < (SELECT 0.2 * avg(l_quantity) FROM lineitem)
    """,
    18: """
        SELECT c_mktsegment, count(DISTINCT c_custkey) AS customers, sum(o_totalprice) AS total
        FROM customer
        JOIN orders ON o_custkey = c_custkey
        WHERE o_totalprice > 300000
        GROUP BY c_mktsegment
        ORDER BY total DESC
    """,
    20: """
        SELECT s_nationkey, count(DISTINCT s_suppkey) AS suppliers, sum(ps_availqty) AS pieces
        FROM supplier
        JOIN partsupp ON ps_suppkey = s_suppkey
        JOIN part ON p_partkey = ps_partkey
        WHERE p_name LIKE 'forest%'
        GROUP BY s_nationkey
        ORDER BY s_nationkey
    """,
    21: """
        SELECT s_nationkey, count(*) AS lines_late, count(DISTINCT s_suppkey) AS suppliers
        FROM supplier
        JOIN lineitem ON l_suppkey = s_suppkey
        JOIN orders ON o_orderkey = l_orderkey
        WHERE o_orderstatus = 'F' AND l_receiptdate > l_commitdate
        GROUP BY s_nationkey
        ORDER BY lines_late DESC
    """,
    22: """
        SELECT c_nationkey, count(*) AS customers, sum(c_acctbal) AS balance
        FROM customer
        WHERE NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey)
        GROUP BY c_nationkey
        ORDER BY c_nationkey
    """,
}
