"""Measure against the limits of this machine: ``make bench``.

Each module of ``MODULES`` offers ``measure() -> {name: {"value", "unit", "limit", "limit_value"}}``: what was measured,
in which unit, what bounds it on this machine, and that bound as measured in the same run. All of them go to
``build/bench.json`` and are printed as a table. Names given on the command line limit the run to those modules.
"""

import importlib
import json
import sys
import traceback
from pathlib import Path

MODULES = (
    "rating",
    "audit",
    "ingest",
    "gate",
    "growth",
    "governed",
    "masks",
    "sandbox",
    "verify",
    "sidechannel",
    "delivery",
    "gateways",
    "psi",
    "psi_jobs",
)
OUT = Path(__file__).resolve().parent.parent / "build" / "bench.json"

Measurements = dict[str, dict[str, float | str]]


def figure(value: float | str) -> str:
    """Return a number with about four digits that mean something."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def table(measured: Measurements) -> str:
    """Return the measurements as lines in columns."""
    rows = [("name", "value", "unit", "limit value", "limit")]
    for name, row in measured.items():
        rows.append((name, *(figure(row[part]) for part in ("value", "unit", "limit_value", "limit"))))
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, wide, strict=True)).rstrip() for row in rows
    )


def main(names: list[str]) -> int:
    """Run the modules named (all of them when none is); return 1 when one of them failed, after the others ran."""
    measured: Measurements = {}
    failed = []
    for name in names or MODULES:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            measured |= importlib.import_module(f"benchmarks.{name}").measure()
        except Exception:  # noqa: BLE001 - the other measurements are still worth having
            traceback.print_exc()
            failed.append(name)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(measured))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
