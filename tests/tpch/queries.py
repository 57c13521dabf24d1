"""The 22 questions of TPC-H (v3 §2.4), each asked in our own words of SQL with the standard's validation parameters.

``uses`` are the least uses under which the gate permits the query as it stands; columns not named there have none. The
tables of parts, nations and regions are openly published and have all.
"""

from dataclasses import dataclass

OPEN_TABLES = ("part", "nation", "region")


@dataclass(frozen=True)
class Question:
    """One query: what it asks, its SQL, and the columns that need each use. The nearest other form stands in ``nearest``.

    ``why`` says why the query shows nothing with the usual thresholds, where that is so.
    """

    number: int
    asks: str
    sql: str
    uses: dict[str, str]
    why: str = ""


QUESTIONS: tuple[Question, ...] = (
    Question(
        1, "Lines shipped up to 90 days before the end, by return flag and line status: quantities, prices, averages",
        """
        SELECT
            l_returnflag, l_linestatus,
            sum(l_quantity) AS quantity, sum(l_extendedprice) AS base_price,
            sum(l_extendedprice * (1 - l_discount)) AS discounted_price,
            sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS charge,
            avg(l_quantity) AS quantity_mean, avg(l_extendedprice) AS price_mean, avg(l_discount) AS discount_mean,
            count(*) AS lines
        FROM lineitem
        WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY
        GROUP BY l_returnflag, l_linestatus
        ORDER BY l_returnflag, l_linestatus
        """,
        {"total": "l_quantity", "total filter": "l_extendedprice l_discount l_tax", "group": "l_returnflag l_linestatus", "filter": "l_shipdate"},
    ),
    Question(
        2, "Which European supplier offers each brass part of size 15 at the lowest cost",
        """
        SELECT s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment
        FROM part
        JOIN partsupp ON ps_partkey = p_partkey
        JOIN supplier ON s_suppkey = ps_suppkey
        JOIN nation ON n_nationkey = s_nationkey
        JOIN region ON r_regionkey = n_regionkey
        WHERE p_size = 15 AND p_type LIKE '%BRASS' AND r_name = 'EUROPE'
            AND ps_supplycost = (
                SELECT min(offer.ps_supplycost)
                FROM partsupp AS offer
                JOIN supplier AS bidder ON bidder.s_suppkey = offer.ps_suppkey
                JOIN nation AS home ON home.n_nationkey = bidder.s_nationkey
                JOIN region AS continent ON continent.r_regionkey = home.n_regionkey
                WHERE offer.ps_partkey = p_partkey AND continent.r_name = 'EUROPE'
            )
        ORDER BY s_acctbal DESC, n_name, s_name, p_partkey
        LIMIT 100
        """,
        {"reveal join": "ps_partkey ps_suppkey s_suppkey s_nationkey", "reveal filter": "ps_supplycost", "reveal": "s_name s_address s_phone s_acctbal s_comment"},
        why="nothing. The lowest cost of a part is that of one of its four suppliers; MIN gives a rounded quantile, and not of so few.",
    ),
    Question(
        3, "The ten largest orders not yet shipped, of customers in the building trade",
        """
        SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
        FROM customer
        JOIN orders ON o_custkey = c_custkey
        JOIN lineitem ON l_orderkey = o_orderkey
        WHERE c_mktsegment = 'BUILDING' AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
        GROUP BY l_orderkey, o_orderdate, o_shippriority
        ORDER BY revenue DESC, o_orderdate
        LIMIT 10
        """,
        {"join": "c_custkey o_orderkey o_custkey", "filter": "c_mktsegment l_shipdate", "group filter": "o_orderdate", "group": "o_shippriority", "group join": "l_orderkey", "total filter": "l_extendedprice l_discount"},
        why="nothing. Each group is one order, and so about one customer.",
    ),
    Question(
        4, "Orders of a quarter with a line received too late, by priority",
        """
        SELECT o_orderpriority, count(*) AS orders_late
        FROM orders
        WHERE o_orderdate >= DATE '1993-07-01' AND o_orderdate < DATE '1993-07-01' + INTERVAL 3 MONTH
            AND EXISTS (SELECT * FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate)
        GROUP BY o_orderpriority
        ORDER BY o_orderpriority
        """,
        {"join": "o_orderkey l_orderkey", "filter": "o_orderdate l_commitdate l_receiptdate", "group": "o_orderpriority"},
    ),
    Question(
        5, "Revenue in Asia of a year where customer and supplier share the nation",
        """
        SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM customer
        JOIN orders ON o_custkey = c_custkey
        JOIN lineitem ON l_orderkey = o_orderkey
        JOIN supplier ON s_suppkey = l_suppkey AND s_nationkey = c_nationkey
        JOIN nation ON n_nationkey = s_nationkey
        JOIN region ON r_regionkey = n_regionkey
        WHERE r_name = 'ASIA' AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1994-01-01' + INTERVAL 1 YEAR
        GROUP BY n_name
        ORDER BY revenue DESC
        """,
        {"join": "c_custkey c_nationkey o_orderkey o_custkey l_orderkey l_suppkey s_suppkey s_nationkey", "filter": "o_orderdate", "total filter": "l_extendedprice l_discount"},
    ),
    Question(
        6, "What more revenue would have been had without the middling discounts of a year",
        """
        SELECT sum(l_extendedprice * l_discount) AS revenue
        FROM lineitem
        WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1994-01-01' + INTERVAL 1 YEAR
            AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24
        """,
        {"filter": "l_quantity l_shipdate", "total filter": "l_extendedprice l_discount"},
    ),
    Question(
        7, "What France and Germany shipped to each other, by year",
        """
        SELECT supplier_nation, customer_nation, ship_year, sum(volume) AS revenue
        FROM (
            SELECT
                seller.n_name AS supplier_nation, buyer.n_name AS customer_nation,
                extract(YEAR FROM l_shipdate) AS ship_year, l_extendedprice * (1 - l_discount) AS volume
            FROM supplier
            JOIN lineitem ON l_suppkey = s_suppkey
            JOIN orders ON o_orderkey = l_orderkey
            JOIN customer ON c_custkey = o_custkey
            JOIN nation AS seller ON seller.n_nationkey = s_nationkey
            JOIN nation AS buyer ON buyer.n_nationkey = c_nationkey
            WHERE l_shipdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31' AND (
                (seller.n_name = 'FRANCE' AND buyer.n_name = 'GERMANY')
                OR (seller.n_name = 'GERMANY' AND buyer.n_name = 'FRANCE')
            )
        ) AS shipped
        GROUP BY supplier_nation, customer_nation, ship_year
        ORDER BY supplier_nation, customer_nation, ship_year
        """,
        {"join": "c_custkey c_nationkey o_orderkey o_custkey l_orderkey l_suppkey s_suppkey s_nationkey", "total filter": "l_extendedprice l_discount", "group filter": "l_shipdate"},
    ),
    Question(
        8, "Brazil's share of the market for one type of part in America, by year",
        """
        SELECT order_year, sum(CASE WHEN nation = 'BRAZIL' THEN volume ELSE 0 END) / sum(volume) AS share
        FROM (
            SELECT
                extract(YEAR FROM o_orderdate) AS order_year, l_extendedprice * (1 - l_discount) AS volume,
                seller.n_name AS nation
            FROM part
            JOIN lineitem ON l_partkey = p_partkey
            JOIN supplier ON s_suppkey = l_suppkey
            JOIN orders ON o_orderkey = l_orderkey
            JOIN customer ON c_custkey = o_custkey
            JOIN nation AS buyer ON buyer.n_nationkey = c_nationkey
            JOIN region ON r_regionkey = buyer.n_regionkey
            JOIN nation AS seller ON seller.n_nationkey = s_nationkey
            WHERE r_name = 'AMERICA' AND p_type = 'ECONOMY ANODIZED STEEL'
                AND o_orderdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31'
        ) AS sold
        GROUP BY order_year
        ORDER BY order_year
        """,
        {"join": "c_custkey c_nationkey o_orderkey o_custkey l_orderkey l_partkey l_suppkey s_suppkey s_nationkey", "group filter": "o_orderdate", "total filter": "l_extendedprice l_discount"},
    ),
    Question(
        9, "Profit on parts with a colour in their name, by the supplier's nation and year",
        """
        SELECT nation, order_year, sum(amount) AS profit
        FROM (
            SELECT
                n_name AS nation, extract(YEAR FROM o_orderdate) AS order_year,
                l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount
            FROM part
            JOIN lineitem ON l_partkey = p_partkey
            JOIN supplier ON s_suppkey = l_suppkey
            JOIN partsupp ON ps_suppkey = l_suppkey AND ps_partkey = l_partkey
            JOIN orders ON o_orderkey = l_orderkey
            JOIN nation ON n_nationkey = s_nationkey
            WHERE p_name LIKE '%green%'
        ) AS profits
        GROUP BY nation, order_year
        ORDER BY nation, order_year DESC
        """,
        {"join": "o_orderkey l_orderkey l_partkey l_suppkey ps_partkey ps_suppkey s_suppkey s_nationkey", "group": "o_orderdate", "total filter": "l_quantity l_extendedprice l_discount ps_supplycost"},
    ),
    Question(
        10, "The twenty customers whose returns of a quarter cost most",
        """
        SELECT
            c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue, c_acctbal, n_name, c_address, c_phone,
            c_comment
        FROM customer
        JOIN orders ON o_custkey = c_custkey
        JOIN lineitem ON l_orderkey = o_orderkey
        JOIN nation ON n_nationkey = c_nationkey
        WHERE o_orderdate >= DATE '1993-10-01' AND o_orderdate < DATE '1993-10-01' + INTERVAL 3 MONTH
            AND l_returnflag = 'R'
        GROUP BY c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment
        ORDER BY revenue DESC
        LIMIT 20
        """,
        {"group join": "c_custkey", "group": "c_name c_address c_phone c_acctbal c_comment", "join": "c_nationkey o_orderkey o_custkey l_orderkey", "filter": "o_orderdate l_returnflag", "total filter": "l_extendedprice l_discount"},
        why="nothing. Each group is one customer.",
    ),
    Question(
        11, "Parts that make up a notable share of what German suppliers have in stock",
        """
        SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS stock
        FROM partsupp
        JOIN supplier ON s_suppkey = ps_suppkey
        JOIN nation ON n_nationkey = s_nationkey
        WHERE n_name = 'GERMANY'
        GROUP BY ps_partkey
        HAVING sum(ps_supplycost * ps_availqty) > (
            SELECT sum(ps_supplycost * ps_availqty) * 0.0001
            FROM partsupp
            JOIN supplier ON s_suppkey = ps_suppkey
            JOIN nation ON n_nationkey = s_nationkey
            WHERE n_name = 'GERMANY'
        )
        ORDER BY stock DESC
        """,
        {"group": "ps_partkey", "join": "ps_suppkey s_suppkey s_nationkey", "total filter": "ps_availqty ps_supplycost"},
        why="nothing. Each part has four suppliers, fewer than ten.",
    ),
    Question(
        12, "Lines shipped in time and received too late, by mode of shipping: of urgent orders and of others",
        """
        SELECT
            l_shipmode,
            sum(CASE WHEN o_orderpriority = '1-URGENT' OR o_orderpriority = '2-HIGH' THEN 1 ELSE 0 END) AS urgent,
            sum(CASE WHEN o_orderpriority <> '1-URGENT' AND o_orderpriority <> '2-HIGH' THEN 1 ELSE 0 END) AS other
        FROM orders
        JOIN lineitem ON l_orderkey = o_orderkey
        WHERE l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate
            AND l_receiptdate >= DATE '1994-01-01' AND l_receiptdate < DATE '1994-01-01' + INTERVAL 1 YEAR
        GROUP BY l_shipmode
        ORDER BY l_shipmode
        """,
        {"join": "o_orderkey l_orderkey", "filter": "o_orderpriority l_shipdate l_commitdate l_receiptdate", "group filter": "l_shipmode"},
    ),
    Question(
        13, "How many customers have how many orders, special requests left out",
        """
        SELECT order_count, count(*) AS customers
        FROM (
            SELECT c_custkey, count(o_orderkey) AS order_count
            FROM customer
            LEFT JOIN orders ON o_custkey = c_custkey AND o_comment NOT LIKE '%special%requests%'
            GROUP BY c_custkey
        ) AS counted
        GROUP BY order_count
        ORDER BY customers DESC, order_count DESC
        """,
        {"group join": "c_custkey", "group": "o_orderkey", "join": "o_custkey", "filter": "o_comment"},
    ),
    Question(
        14, "The share of promoted parts in a month's revenue",
        """
        SELECT
            100.00 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
                / sum(l_extendedprice * (1 - l_discount)) AS promoted
        FROM lineitem
        JOIN part ON p_partkey = l_partkey
        WHERE l_shipdate >= DATE '1995-09-01' AND l_shipdate < DATE '1995-09-01' + INTERVAL 1 MONTH
        """,
        {"join": "l_partkey", "total filter": "l_extendedprice l_discount", "filter": "l_shipdate"},
    ),
    Question(
        15, "The supplier with the highest revenue of a quarter",
        """
        WITH revenue AS (
            SELECT l_suppkey AS supplier_no, sum(l_extendedprice * (1 - l_discount)) AS total
            FROM lineitem
            WHERE l_shipdate >= DATE '1996-01-01' AND l_shipdate < DATE '1996-01-01' + INTERVAL 3 MONTH
            GROUP BY l_suppkey
        )
        SELECT s_suppkey, s_name, s_address, s_phone, total
        FROM supplier
        JOIN revenue ON supplier_no = s_suppkey
        WHERE total = (SELECT max(total) FROM revenue)
        ORDER BY s_suppkey
        """,
        {"reveal join": "l_suppkey s_suppkey", "reveal filter": "l_extendedprice l_discount l_shipdate", "reveal": "s_name s_address s_phone"},
        why="nothing. The highest revenue is one supplier's; MAX gives a rounded quantile, which equals no supplier's revenue.",
    ),
    Question(
        16, "How many suppliers without complaints can deliver parts of eight sizes, by brand, type and size",
        """
        SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS suppliers
        FROM partsupp
        JOIN part ON p_partkey = ps_partkey
        WHERE p_brand <> 'Brand#45' AND p_type NOT LIKE 'MEDIUM POLISHED%' AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9)
            AND ps_suppkey NOT IN (SELECT s_suppkey FROM supplier WHERE s_comment LIKE '%Customer%Complaints%')
        GROUP BY p_brand, p_type, p_size
        ORDER BY suppliers DESC, p_brand, p_type, p_size
        """,
        {"join": "ps_partkey ps_suppkey s_suppkey", "filter": "s_comment"},
        why="nothing below a thousand suppliers. Few of them can deliver one brand, type and size.",
    ),
    Question(
        17, "What would be lost each year if small orders of one kind of part were no longer taken",
        """
        SELECT sum(l_extendedprice) / 7.0 AS yearly_mean
        FROM lineitem
        JOIN part ON p_partkey = l_partkey
        WHERE p_brand = 'Brand#23' AND p_container = 'MED BOX'
            AND l_quantity < (SELECT 0.2 * avg(other.l_quantity) FROM lineitem AS other WHERE other.l_partkey = p_partkey)
        """,
        {"group join": "l_partkey", "total filter": "l_quantity", "total": "l_extendedprice"},
        why="nothing. The mean quantity of a part is that of its four suppliers.",
    ),
    Question(
        18, "Customers with orders of more than 300 pieces",
        """
        SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) AS quantity
        FROM customer
        JOIN orders ON o_custkey = c_custkey
        JOIN lineitem ON l_orderkey = o_orderkey
        WHERE o_orderkey IN (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 300)
        GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
        ORDER BY o_totalprice DESC, o_orderdate
        LIMIT 100
        """,
        {"group join": "c_custkey o_orderkey l_orderkey", "group": "c_name o_totalprice o_orderdate", "join": "o_custkey", "total": "l_quantity"},
        why="nothing. Each group is one order, and so about one customer.",
    ),
    Question(
        19, "Revenue from three kinds of parts handed over in person after a flight",
        """
        SELECT sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM lineitem
        JOIN part ON p_partkey = l_partkey
        WHERE l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON' AND (
            (
                p_brand = 'Brand#12' AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG')
                AND l_quantity BETWEEN 1 AND 11 AND p_size BETWEEN 1 AND 5
            ) OR (
                p_brand = 'Brand#23' AND p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
                AND l_quantity BETWEEN 10 AND 20 AND p_size BETWEEN 1 AND 10
            ) OR (
                p_brand = 'Brand#34' AND p_container IN ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG')
                AND l_quantity BETWEEN 20 AND 30 AND p_size BETWEEN 1 AND 15
            )
        )
        """,
        {"join": "l_partkey", "filter": "l_quantity l_shipinstruct l_shipmode", "total filter": "l_extendedprice l_discount"},
    ),
    Question(
        20, "Canadian suppliers with more than half of a year's sales of some forest-coloured part in stock",
        """
        SELECT s_name, s_address
        FROM supplier
        JOIN nation ON n_nationkey = s_nationkey
        WHERE n_name = 'CANADA' AND s_suppkey IN (
            SELECT ps_suppkey
            FROM partsupp
            WHERE ps_partkey IN (SELECT p_partkey FROM part WHERE p_name LIKE 'forest%')
                AND ps_availqty > (
                    SELECT 0.5 * sum(l_quantity)
                    FROM lineitem
                    WHERE l_partkey = ps_partkey AND l_suppkey = ps_suppkey
                        AND l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1994-01-01' + INTERVAL 1 YEAR
                )
        )
        ORDER BY s_name
        """,
        {"reveal join": "l_partkey l_suppkey ps_partkey ps_suppkey s_suppkey s_nationkey", "reveal filter": "l_quantity l_shipdate ps_availqty", "reveal": "s_name s_address"},
    ),
    Question(
        21, "Saudi suppliers who alone kept an order of several suppliers waiting",
        """
        SELECT s_name, count(*) AS orders_waiting
        FROM supplier
        JOIN lineitem AS late ON late.l_suppkey = s_suppkey
        JOIN orders ON o_orderkey = late.l_orderkey
        JOIN nation ON n_nationkey = s_nationkey
        WHERE o_orderstatus = 'F' AND late.l_receiptdate > late.l_commitdate AND n_name = 'SAUDI ARABIA'
            AND EXISTS (
                SELECT * FROM lineitem AS other
                WHERE other.l_orderkey = late.l_orderkey AND other.l_suppkey <> late.l_suppkey
            )
            AND NOT EXISTS (
                SELECT * FROM lineitem AS guilty
                WHERE guilty.l_orderkey = late.l_orderkey AND guilty.l_suppkey <> late.l_suppkey
                    AND guilty.l_receiptdate > guilty.l_commitdate
            )
        GROUP BY s_name
        ORDER BY orders_waiting DESC, s_name
        LIMIT 100
        """,
        {"join": "o_orderkey l_orderkey s_suppkey s_nationkey", "filter": "o_orderstatus l_commitdate l_receiptdate", "join filter": "l_suppkey", "group": "s_name"},
        why="nothing. Each group is one supplier.",
    ),
    Question(
        22, "Customers of seven countries with money and without orders, by country code",
        """
        SELECT country, count(*) AS customers, sum(c_acctbal) AS balance
        FROM (
            SELECT substring(c_phone FROM 1 FOR 2) AS country, c_acctbal
            FROM customer
            WHERE substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17')
                AND c_acctbal > (
                    SELECT avg(c_acctbal) FROM customer
                    WHERE c_acctbal > 0.00 AND substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17')
                )
                AND NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey)
        ) AS idle
        GROUP BY country
        ORDER BY country
        """,
        {"join": "c_custkey o_custkey", "group filter": "c_phone", "total filter": "c_acctbal"},
    ),
)  # fmt: skip
