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
from gongshu.console.codes import CRITERIA
from gongshu.console.labels import Word, label_of, word
from gongshu.grants.types import PriceRule
from gongshu.products.types import Contract, ContractStatus
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
                "type": "pie", "radius": ["48%", "70%"], "label": {"show": False},
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
        kind, party = say(label_of(share.kind)), name(share.party).partition("（")[0]
        label = kind if kind == party else f"{kind} · {party}"
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
