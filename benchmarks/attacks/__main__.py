"""Run the attacks, print what they achieved, write ``docs/reference/attacks.md`` and ``build/bench.json``."""

import json
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.attacks import Report, measurements, points_of, run
from benchmarks.attacks.page import written

ROOT = Path(__file__).resolve().parents[2]
PAGE, FIGURES = ROOT / "docs" / "reference" / "attacks.md", ROOT / "build" / "bench.json"
GOAL_POINTS = 5.0


def save(report: Report) -> None:
    """Put the figures beside those of other measurements."""
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(known | measurements(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> int:
    """Return 1 when an attack on the default policy is more than the goal above its base rate."""
    report = run()
    save(report)
    PAGE.write_text(written(report, datetime.now(ZoneInfo("Asia/Shanghai")).date()), encoding="utf-8")
    points = {score.attack: points_of(report, score.attack) for score in report.after.attacks}
    worst = max(points, key=points.__getitem__)
    print(f"worst attack at default policy: {worst}, {points[worst]:+.1f} points above its base rate")
    return 1 if points[worst] > GOAL_POINTS else 0


if __name__ == "__main__":
    sys.exit(main())
