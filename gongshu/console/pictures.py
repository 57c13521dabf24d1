"""What pictures are drawn from: positions, widths and options as data. Templates turn them into SVG or charts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from gongshu.audit.types import Entry, Trace, TraceStep
from gongshu.base.days import CHINA
from gongshu.base.digest import Ref
from gongshu.base.money import Tier
from gongshu.catalog.types import QualityItem
from gongshu.console.labels import CRITERIA, DIMENSIONS, Word
from gongshu.grants.types import PriceRule
from gongshu.scenarios.types import ScoreSummary


def tier_rows(tiers: tuple[Tier, ...]) -> list[tuple[int, int | None, str]]:
    """Return tiers as from (exclusive), to (inclusive, ``None``: no bound) and rate."""
    rows, below = [], 0
    for tier in tiers:
        rows.append((below, tier.up_to, tier.rate))
        below = tier.up_to or below
    return rows


@dataclass(frozen=True)
class SplitRow:
    """Income above ``below`` and up to ``up_to`` fen, and the percentages that supplier, treasury and operator get."""

    below: int
    up_to: int | None
    supplier: float
    treasury: float
    operator: float


def split_rows(price: PriceRule) -> list[SplitRow]:
    """Return the agreed split, tier by tier, as percentages."""
    treasury = Decimal(price.treasury_share)
    rows = []
    for below, up_to, rate in tier_rows(price.split):
        public = Decimal(rate) * 100
        rows.append(
            SplitRow(below, up_to, float(public * (1 - treasury)), float(public * treasury), float(100 - public))
        )
    return rows


def last_day(end: datetime) -> date:
    """Return the last day of a period that ends (exclusively) at ``end``, in China."""
    return (end.astimezone(CHINA) - timedelta(microseconds=1)).date()


# ------------------------------------------------------------------------------------------------------- lifelines

STAGES: dict[str, tuple[str, ...]] = {
    "supply": ("resource_version", "resource", "registration"),
    "authorise": ("plan", "agreement", "grant", "exit_record", "scenario", "entitlement"),
    "compute": ("job",),
    "review": ("output", "release"),
    "market": ("product", "listing", "order", "contract", "key"),
    "money": ("segment", "call", "statement"),
}
"""Kinds of objects in the order of the flow, by stretch. Layers of a lifeline follow this order."""

RANK = {kind: place for place, kind in enumerate(kind for kinds in STAGES.values() for kind in kinds)}
STAGE_OF = {kind: stage for stage, kinds in STAGES.items() for kind in kinds}

BOX_WIDTH, BOX_HEIGHT = 216, 62
GAP_X, GAP_Y, LAYER_GAP = 18, 14, 40
GUTTER, MARGIN = 112, 12
COLUMNS_MAX, ROWS_MAX = 4, 3


@dataclass(frozen=True)
class Box:
    """One object on a lifeline, with the entry that decided it last."""

    ref: Ref
    entry: Entry | None
    stage: str
    x: int
    y: int
    is_start: bool


@dataclass(frozen=True)
class Band:
    """The row or rows of one kind of object. ``left_out``: how many more there are than are drawn."""

    kind: str
    stage: str
    y: int
    height: int
    left_out: int


@dataclass(frozen=True)
class Lifeline:
    """A lifeline ready to be drawn: sizes in pixels; ``lines`` are SVG paths from an object to what came of it."""

    width: int
    height: int
    bands: tuple[Band, ...]
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]


def lifeline(trace: Trace) -> Lifeline:
    """Lay out a trace from the resource on top to the call or the money at the bottom."""
    entries: dict[tuple[str, str], TraceStep] = {}
    refs: dict[tuple[str, str], Ref] = {(trace.start.kind, trace.start.id): trace.start}
    for step in trace.steps:
        refs.setdefault((step.ref.kind, step.ref.id), step.ref)
        entries[step.ref.kind, step.ref.id] = step
    for edge in trace.edges:
        for ref in (edge.child, edge.parent):
            refs.setdefault((ref.kind, ref.id), ref)
    layers: dict[str, list[Ref]] = {}
    for ref in sorted(refs.values(), key=lambda ref: (RANK.get(ref.kind, len(RANK)), ref.kind, ref.id)):
        layers.setdefault(ref.kind, []).append(ref)
    columns = min(COLUMNS_MAX, max(len(layer) for layer in layers.values()))
    width = GUTTER + MARGIN + columns * (BOX_WIDTH + GAP_X)
    boxes, bands, y = {}, [], MARGIN
    for kind, layer in layers.items():
        shown = layer[: COLUMNS_MAX * ROWS_MAX]
        rows = -(-len(shown) // COLUMNS_MAX)
        for place, ref in enumerate(shown):
            row, column = divmod(place, COLUMNS_MAX)
            in_row = min(COLUMNS_MAX, len(shown) - row * COLUMNS_MAX)
            left = GUTTER + (width - GUTTER - MARGIN - in_row * (BOX_WIDTH + GAP_X) + GAP_X) // 2
            found = entries.get((ref.kind, ref.id))
            boxes[ref.kind, ref.id] = Box(
                ref, found.entry if found else None, STAGE_OF.get(kind, "supply"),
                left + column * (BOX_WIDTH + GAP_X), y + row * (BOX_HEIGHT + GAP_Y),
                is_start=(ref.kind, ref.id) == (trace.start.kind, trace.start.id),
            )  # fmt: skip
        height = rows * (BOX_HEIGHT + GAP_Y) - GAP_Y
        bands.append(Band(kind, STAGE_OF.get(kind, "supply"), y, height, len(layer) - len(shown)))
        y += height + LAYER_GAP
    lines = [
        _line(boxes[edge.parent.kind, edge.parent.id], boxes[edge.child.kind, edge.child.id])
        for edge in trace.edges
        if (edge.parent.kind, edge.parent.id) in boxes and (edge.child.kind, edge.child.id) in boxes
    ]
    return Lifeline(width, y - LAYER_GAP + MARGIN, tuple(bands), tuple(boxes.values()), tuple(dict.fromkeys(lines)))


def _line(parent: Box, child: Box) -> str:
    """Return the path from an object to what came of it; one that skips layers swings out to pass beside the boxes."""
    start_x, start_y = parent.x + BOX_WIDTH // 2, parent.y + BOX_HEIGHT
    end_x, end_y = child.x + BOX_WIDTH // 2, child.y
    if end_y < start_y:  # against the flow: an object of the same or an earlier kind
        start_y, end_y = parent.y, child.y + BOX_HEIGHT
    distance = end_y - start_y
    if abs(distance) <= LAYER_GAP + 1:
        return f"M{start_x} {start_y}C{start_x} {start_y + distance // 2} {end_x} {end_y - distance // 2} {end_x} {end_y}"
    swing = BOX_WIDTH // 2 + 14
    side = max(start_x, end_x) + swing
    start_x, end_x = start_x + BOX_WIDTH // 4, end_x + BOX_WIDTH // 4
    return (
        f"M{start_x} {start_y}C{start_x} {start_y + 18} {side} {start_y + 6} {side} {start_y + 34}"
        f"L{side} {end_y - 34}C{side} {end_y - 6} {end_x} {end_y - 18} {end_x} {end_y}"
    )


# ---------------------------------------------------------------------------------------------------------- charts

INK, LINE = "#5b6878", "#dfe5ec"
BLUE, GREEN, ORANGE, GOLD = "#1d5aa6", "#2f7d5b", "#d98324", "#a37a12"

Translate = Callable[[Word], str]
Chart = dict[str, Any]


def _radar(names: list[str], values: list[float], colour: str) -> Chart:
    """Return a radar of percentages."""
    return {
        "radar": {
            "indicator": [{"name": name, "max": 100} for name in names], "radius": "66%",
            "axisName": {"color": INK, "fontSize": 12}, "splitArea": {"show": False},
            "splitLine": {"lineStyle": {"color": LINE}}, "axisLine": {"lineStyle": {"color": LINE}},
        },
        "series": [
            {
                "type": "radar", "symbolSize": 5, "data": [{"value": values}], "itemStyle": {"color": colour},
                "lineStyle": {"color": colour, "width": 2}, "areaStyle": {"color": colour, "opacity": 0.15},
            }
        ],
    }  # fmt: skip


def score_radar(summary: ScoreSummary, say: Translate) -> Chart:
    """Return the mean of each criterion as a part of its most points."""
    names = [say(CRITERIA[one.criterion]) if one.criterion in CRITERIA else one.criterion for one in summary.criteria]
    return _radar(names, [round(100 * float(one.mean) / one.points_max, 1) for one in summary.criteria], BLUE)


def quality_by_dimension(items: tuple[QualityItem, ...]) -> dict[str, float]:
    """Return the percentage of checks passed in each dimension of GB/T 36344; 100 where nothing was there to check."""
    percent = {}
    for dimension in dict.fromkeys(item.dimension for item in items):
        found = [item for item in items if item.dimension == dimension and item.checked]
        checked, failing = sum(item.checked for item in found), sum(item.failing for item in found)
        percent[dimension] = round(100 * (checked - failing) / checked, 2) if checked else 100.0
    return percent


def quality_radar(items: tuple[QualityItem, ...], say: Translate) -> Chart:
    """Return the quality report as a radar of its dimensions."""
    percent = quality_by_dimension(items)
    names = [say(DIMENSIONS[name]) if name in DIMENSIONS else name for name in percent]
    return _radar(names, list(percent.values()), GREEN)


def result_ring(slices: list[tuple[str, int]]) -> Chart:
    """Return calls by result as a ring."""
    colours = [GREEN, ORANGE, "#8fa3b8", "#c63b3b", "#6a4fb3"]
    return {
        "color": colours,
        "series": [
            {
                "type": "pie", "radius": ["48%", "70%"], "label": {"color": INK, "formatter": "{b} {c}"},
                "data": [{"name": name, "value": value} for name, value in slices if value],
                "itemStyle": {"borderColor": "#fff", "borderWidth": 2},
            }
        ],
    }  # fmt: skip
