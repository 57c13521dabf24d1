"""A lifeline as a picture: one band per stretch of the flow, its kinds of objects from left to right."""

from dataclasses import dataclass

from gongshu.console.labels import Word, word
from gongshu.supervision.types import Lifeline, LifelineNode

STAGES: tuple[tuple[str, Word, tuple[str, ...]], ...] = (
    ("supply", word("stage", "Supply"), ("resource", "resource_version", "registration")),
    (
        "authorise",
        word("stage", "Authorise"),
        ("plan", "agreement", "grant", "exit_record", "scenario", "entitlement"),
    ),
    ("compute", word("stage", "Compute"), ("job", "output", "review", "release")),
    ("market", word("stage", "Market"), ("product", "listing", "order", "contract", "key", "consent")),
    ("money", word("stage", "Calls and money"), ("segment", "call", "statement")),
)
"""Stretches of the flow with the kinds of objects that belong to them, in order."""

KNOWN = {kind for _, _, kinds in STAGES for kind in kinds}

BOX_WIDTH, BOX_HEIGHT = 188, 64
GAP_X, GAP_Y, BAND_GAP, BAND_PADDING = 34, 12, 26, 14
GUTTER = 118
STACKED_MAX = 4

Key = tuple[str, str]


@dataclass(frozen=True)
class Box:
    """One object, and where its left upper corner is."""

    node: LifelineNode
    stage: str
    x: int
    y: int
    is_start: bool


@dataclass(frozen=True)
class Band:
    """One stretch of the flow. ``left_out``: kinds of which more exist than are drawn, where, and how many."""

    stage: str
    title: Word
    y: int
    height: int
    left_out: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Drawing:
    """A lifeline ready to be drawn: sizes in pixels; ``lines`` are SVG paths from an object to what came of it."""

    width: int
    height: int
    bands: tuple[Band, ...]
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]


def draw_lifeline(lifeline: Lifeline) -> Drawing:
    """Lay out a lifeline from the resource at the top left to the call or the money at the bottom."""
    by_kind: dict[str, list[LifelineNode]] = {}
    for node in sorted(lifeline.nodes, key=lambda node: node.id):
        by_kind.setdefault(node.kind, []).append(node)
    strangers = tuple(kind for kind in by_kind if kind not in KNOWN)
    boxes: dict[Key, Box] = {}
    bands, y, columns_most = [], 0, 1
    for stage, title, kinds in (*STAGES, ("other", word("stage", "Other"), strangers)):
        columns = [kind for kind in kinds if kind in by_kind]
        if not columns:
            continue
        shown = {kind: by_kind[kind][:STACKED_MAX] for kind in columns}
        height = max(len(nodes) for nodes in shown.values()) * (BOX_HEIGHT + GAP_Y) - GAP_Y
        left_out = []
        for place, kind in enumerate(columns):
            x = GUTTER + place * (BOX_WIDTH + GAP_X)
            for row, node in enumerate(shown[kind]):
                box_y = y + BAND_PADDING + row * (BOX_HEIGHT + GAP_Y)
                is_start = (node.kind, node.id) == (lifeline.start.kind, lifeline.start.id)
                boxes[node.kind, node.id] = Box(node, stage, x, box_y, is_start)
            hidden = len(by_kind[kind]) - len(shown[kind])
            if hidden:
                left_out.append((x, y + BAND_PADDING + height + 12, hidden))
        band_height = height + 2 * BAND_PADDING + (12 if left_out else 0)
        bands.append(Band(stage, title, y, band_height, tuple(left_out)))
        y += band_height + BAND_GAP
        columns_most = max(columns_most, len(columns))
    width = GUTTER + columns_most * (BOX_WIDTH + GAP_X) - GAP_X + BAND_PADDING
    lines = [
        _line(boxes[edge.parent.kind, edge.parent.id], boxes[edge.child.kind, edge.child.id])
        for edge in lifeline.edges
        if (edge.parent.kind, edge.parent.id) in boxes and (edge.child.kind, edge.child.id) in boxes
    ]
    return Drawing(width, max(y - BAND_GAP, 1), tuple(bands), tuple(boxes.values()), tuple(dict.fromkeys(lines)))


def _line(parent: Box, child: Box) -> str:
    """Return the path from an object to what came of it."""
    middle = BOX_HEIGHT // 2
    if parent.stage != child.stage:
        return _between(parent, child)
    if parent.x == child.x:  # one below the other
        x = parent.x + BOX_WIDTH
        return (
            f"M{x} {parent.y + middle}C{x + 26} {parent.y + middle} {x + 26} {child.y + middle} {x} {child.y + middle}"
        )
    start_x, end_x = parent.x + BOX_WIDTH, child.x
    if end_x < start_x:  # from right to left
        start_x, end_x = parent.x, child.x + BOX_WIDTH
    start_y, end_y = parent.y + middle, child.y + middle
    if abs(end_x - start_x) > GAP_X:  # over the heads of those in between
        top = min(parent.y, child.y) - 10
        start_x, end_x = parent.x + BOX_WIDTH // 2, child.x + BOX_WIDTH // 2
        return f"M{start_x} {parent.y}C{start_x} {top} {end_x} {top} {end_x} {child.y}"
    bend = (end_x - start_x) // 2
    return f"M{start_x} {start_y}C{start_x + bend} {start_y} {end_x - bend} {end_y} {end_x} {end_y}"


def _between(parent: Box, child: Box) -> str:
    """Return the path from one band to another, leaving below and arriving above."""
    start_x, end_x = parent.x + BOX_WIDTH // 2, child.x + BOX_WIDTH // 2
    start_y, end_y = parent.y + BOX_HEIGHT, child.y
    if end_y < start_y:  # against the flow
        start_y, end_y = parent.y, child.y + BOX_HEIGHT
    bend = max((end_y - start_y) // 2, 24) if end_y > start_y else min((end_y - start_y) // 2, -24)
    return f"M{start_x} {start_y}C{start_x} {start_y + bend} {end_x} {end_y - bend} {end_x} {end_y}"
