"""How many of TPC-DS's 99 queries the gate reads and permits, and why it refuses the rest.

The queries' text is the TPC's and is not kept in the project. An older DuckDB's extension on PyPI holds it; it is read in an
environment of its own, and the report names numbers and classes only:

    python3 -m venv /tmp/tpcds && /tmp/tpcds/bin/pip install duckdb==1.5.5 duckdb-extension-tpcds==1.5.5
    /tmp/tpcds/bin/python benchmarks/tpcds.py write /tmp/tpcds/queries.json
    .venv/bin/python -m benchmarks.tpcds report /tmp/tpcds/queries.json

The last line writes ``docs/reference/tpcds.md``.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gongshu.compute.types import Relation

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "tpcds.md"
UNITS = {
    "customer": "c_customer_sk", "customer_address": "ca_address_sk", "store_sales": "ss_customer_sk",
    "store_returns": "sr_customer_sk", "catalog_sales": "cs_bill_customer_sk", "catalog_returns": "cr_refunded_customer_sk",
    "web_sales": "ws_bill_customer_sk", "web_returns": "wr_refunded_customer_sk",
}  # fmt: skip
"""Whom each table protects: customers, and households by their address. The other tables are openly published."""
EXAMPLES_MAX = 12


def write(target: Path) -> None:
    """Write the schema and the queries that the extension holds; runs where that DuckDB is installed."""
    import duckdb

    found = next(Path(sys.prefix).rglob("tpcds.duckdb_extension"))
    with duckdb.connect(config={"allow_unsigned_extensions": True}) as engine:
        engine.execute(f"LOAD '{found}'")
        engine.execute("CALL dsdgen(sf = 0)")
        columns = engine.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY table_name, ordinal_position"
        ).fetchall()
        queries = dict(engine.execute("SELECT query_nr, query FROM tpcds_queries()").fetchall())
    target.write_text(json.dumps({"columns": columns, "queries": queries}), encoding="utf-8")


def relations(columns: list[tuple[str, str, str]]) -> tuple["Relation", ...]:
    """Return the tables as relations with every use of every column."""
    from gongshu.base.ids import ResourceId
    from gongshu.catalog.types import DataType
    from gongshu.compute.types import Relation, RelationColumn
    from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Use

    kinds = {"DATE": DataType.DATE, "INTEGER": DataType.INTEGER, "BIGINT": DataType.INTEGER, "VARCHAR": DataType.TEXT}
    by_table: dict[str, list[RelationColumn]] = defaultdict(list)
    for table, column, kind in columns:
        by_table[table].append(RelationColumn(column, kinds.get(kind, DataType.DECIMAL)))
    return tuple(
        Relation(
            name, ResourceId(name), tuple(shown),
            ResourcePolicy(
                tuple(ColumnPolicy(c.name, frozenset(Use)) for c in shown), (UNITS[name],) if name in UNITS else ()
            ),
        )
        for name, shown in by_table.items()
    )  # fmt: skip


def verdicts(given: tuple["Relation", ...], queries: dict[str, str]) -> dict[int, tuple[str, ...]]:
    """Return, for each query, the reasons against it: a code with the construct or operator that it names."""
    from gongshu.base.decisions import Denied
    from gongshu.compute.rules import decide_query
    from gongshu.policies.types import Thresholds

    found = {}
    for number, sql in queries.items():
        decision = decide_query(given, Thresholds(10, 10, 2, 90), sql)
        reasons = decision.reasons if isinstance(decision, Denied) else ()
        found[int(number)] = tuple(dict.fromkeys(_class(reason.code, dict(reason.facts)) for reason in reasons))
    return found


def _class(code: str, facts: dict[str, str]) -> str:
    detail = next((str(facts[key]) for key in ("construct", "function", "operator", "place") if key in facts), "")
    return f"{code} ({detail.rstrip(' 0123456789')})" if detail else code


def report(source: Path) -> str:
    """Return the page."""
    from gongshu.base.decisions import RULES

    held = json.loads(source.read_text(encoding="utf-8"))
    found = verdicts(relations(held["columns"]), held["queries"])
    unread = [n for n, reasons in found.items() if any("unreadable" in reason for reason in reasons)]
    passing = [n for n, reasons in found.items() if not reasons]
    classes: dict[str, list[int]] = defaultdict(list)
    for number, reasons in found.items():
        for reason in dict.fromkeys(reasons):
            classes[reason].append(number)
    text = (
        "# TPC-DS through the gate\n\n"
        f"Of the {len(found)} queries of TPC-DS the gate reads {len(found) - len(unread)} and permits **{len(passing)}** "
        "unchanged when every column has every use. The privacy unit is the customer in `customer` and in sales and returns, "
        "the address in `customer_address`; stores, items, dates and the other tables are openly published. A query that is "
        "permitted still shows only groups of enough customers.\n\n"
        "The text of the queries is not part of the project. How to run this again: see `benchmarks/tpcds.py`.\n\n"
        f"Permitted: {', '.join(map(str, sorted(passing)))}.\n\n## Why the others are refused\n\n"
        "A query may have several reasons.\n\n| reason | what to do | queries | which |\n| --- | --- | --- | --- |\n"
    )
    for reason, numbers in sorted(classes.items(), key=lambda item: (-len(item[1]), item[0])):
        shown = ", ".join(map(str, sorted(numbers)[:EXAMPLES_MAX])) + (" …" if len(numbers) > EXAMPLES_MAX else "")
        fix = RULES[reason.split(" ")[0]].fix.en.replace(" ({name})", "").replace("|", chr(92) + "|")
        text += f"| `{reason}` | {fix} | {len(numbers)} | {shown} |\n"
    return text


def main(command: str, path: str) -> int:
    """Write the queries of the extension, or the report."""
    if command == "write":
        write(Path(path))
    else:
        PAGE.write_text(report(Path(path)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
