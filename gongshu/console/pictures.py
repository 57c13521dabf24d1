"""What pictures are drawn from: positions, widths and options as data. Templates turn them into SVG or charts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from gongshu.base.days import CHINA
from gongshu.base.money import Tier
from gongshu.billing.types import ShareKind, Statement
from gongshu.catalog.types import Dimension, QualityItem
from gongshu.console.labels import CRITERIA, Word, label_of, word
from gongshu.grants.types import PriceRule
from gongshu.products.types import Contract, ContractStatus
from gongshu.scenarios.types import ScoreSummary
from gongshu.supervision.types import Lifeline, LifelineNode


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
    "review": ("output", "review", "release"),
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
    """One object on a lifeline, and where it is drawn."""

    node: LifelineNode
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
class Drawing:
    """A lifeline ready to be drawn: sizes in pixels; ``lines`` are SVG paths from an object to what came of it."""

    width: int
    height: int
    bands: tuple[Band, ...]
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]


def draw_lifeline(lifeline: Lifeline) -> Drawing:
    """Lay out a lifeline from the resource on top to the call or the money at the bottom."""
    layers: dict[str, list[LifelineNode]] = {}
    for node in sorted(lifeline.nodes, key=lambda node: (RANK.get(node.kind, len(RANK)), node.kind, node.id)):
        layers.setdefault(node.kind, []).append(node)
    columns = min(COLUMNS_MAX, max((len(layer) for layer in layers.values()), default=1))
    width = GUTTER + MARGIN + columns * (BOX_WIDTH + GAP_X)
    boxes: dict[tuple[str, str], Box] = {}
    bands, y = [], MARGIN
    for kind, layer in layers.items():
        stage, shown = STAGE_OF.get(kind, "supply"), layer[: COLUMNS_MAX * ROWS_MAX]
        for place, node in enumerate(shown):
            row, column = divmod(place, COLUMNS_MAX)
            in_row = min(COLUMNS_MAX, len(shown) - row * COLUMNS_MAX)
            left = GUTTER + (width - GUTTER - MARGIN - in_row * (BOX_WIDTH + GAP_X) + GAP_X) // 2
            boxes[node.kind, node.id] = Box(
                node, stage, left + column * (BOX_WIDTH + GAP_X), y + row * (BOX_HEIGHT + GAP_Y),
                is_start=(node.kind, node.id) == (lifeline.start.kind, lifeline.start.id),
            )  # fmt: skip
        height = -(-len(shown) // COLUMNS_MAX) * (BOX_HEIGHT + GAP_Y) - GAP_Y
        bands.append(Band(kind, stage, y, height, len(layer) - len(shown)))
        y += height + LAYER_GAP
    lines = [
        _line(boxes[edge.parent.kind, edge.parent.id], boxes[edge.child.kind, edge.child.id])
        for edge in lifeline.edges
        if (edge.parent.kind, edge.parent.id) in boxes and (edge.child.kind, edge.child.id) in boxes
    ]
    return Drawing(width, y - LAYER_GAP + MARGIN, tuple(bands), tuple(boxes.values()), tuple(dict.fromkeys(lines)))


def _line(parent: Box, child: Box) -> str:
    """Return the path from an object to what came of it; one that skips layers swings out to pass beside the boxes."""
    start_x, start_y = parent.x + BOX_WIDTH // 2, parent.y + BOX_HEIGHT
    end_x, end_y = child.x + BOX_WIDTH // 2, child.y
    if end_y < start_y:  # against the flow: an object of the same or an earlier kind
        start_y, end_y = parent.y, child.y + BOX_HEIGHT
    distance = end_y - start_y
    if abs(distance) <= LAYER_GAP + 1:
        return (
            f"M{start_x} {start_y}C{start_x} {start_y + distance // 2} {end_x} {end_y - distance // 2} {end_x} {end_y}"
        )
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


def quality_by_dimension(items: tuple[QualityItem, ...]) -> dict[Dimension, float]:
    """Return the percentage of checks passed in each dimension of GB/T 36344; 100 where nothing was there to check."""
    percent: dict[Dimension, float] = {}
    for dimension in dict.fromkeys(item.dimension for item in items):
        found = [item for item in items if item.dimension == dimension and item.checked]
        checked, failing = sum(item.checked for item in found), sum(item.failing for item in found)
        percent[dimension] = round(100 * (checked - failing) / checked, 2) if checked else 100.0
    return percent


def quality_radar(items: tuple[QualityItem, ...], say: Translate) -> Chart:
    """Return the quality report as a radar of its dimensions."""
    percent = quality_by_dimension(items)
    return _radar([say(label_of(dimension)) for dimension in percent], list(percent.values()), GREEN)


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


SHARE_COLOURS = {ShareKind.SUPPLIER: GREEN, ShareKind.TREASURY: GOLD, ShareKind.OPERATOR: BLUE}


def split_flow(statement: Statement, say: Translate, name: Callable[[str], str]) -> Chart:
    """Return the income of a statement as a stream from the consumer into its parts, in yuan."""
    income = name(statement.consumer)
    nodes = [{"name": income, "itemStyle": {"color": "#0f7f8f"}}]
    links = []
    for share in statement.shares:
        if share.amount_minor <= 0:
            continue
        label = f"{say(label_of(share.kind))} · {name(share.party)}"
        nodes.append({"name": label, "itemStyle": {"color": SHARE_COLOURS[share.kind]}})
        links.append({"source": income, "target": label, "value": share.amount_minor / 100})
    return {
        "series": [
            {
                "type": "sankey", "data": nodes, "links": links, "left": 10, "right": 250, "top": 16, "bottom": 16,
                "nodeWidth": 14, "nodeGap": 18, "draggable": False, "emphasis": {"disabled": True},
                "label": {"color": "#1f2a37", "fontSize": 12, "width": 230, "overflow": "break"},
                "lineStyle": {"color": "target", "opacity": 0.28, "curveness": 0.5},
            }
        ],
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ ways

Step = tuple[str, str, str]
"""A step of a way: its words, its state (``done``, ``here``, ``ahead``, ``stopped``), a note."""


def contract_way(contract: Contract, say: Translate) -> list[Step]:
    """Return how far a contract is."""
    has_ended = contract.status is ContractStatus.TERMINATED
    signed = (contract.operator_signer is not None, contract.consumer_signer is not None)
    waiting = "stopped" if has_ended else "here"
    last = (say(word("way", "Ended")), "stopped", "") if has_ended else (say(word("way", "Performing")), "here", "")
    if not all(signed):
        last = (say(word("way", "Performing")), "ahead", "")
    return [
        (say(word("way", "Drawn up")), "done", contract.created_at.astimezone(CHINA).date().isoformat()),
        (say(word("way", "Operator signs")), "done" if signed[0] else waiting, ""),
        (say(word("way", "Consumer signs")), "done" if signed[1] else (waiting if signed[0] else "ahead"), ""),
        last,
    ]
