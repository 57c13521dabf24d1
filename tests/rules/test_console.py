"""What the pages decide on their own: the language, what a form says, the demo clock, where a lifeline's boxes are."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from starlette.datastructures import FormData

from gongshu.access.types import Role
from gongshu.audit.types import Trace
from gongshu.base.decisions import Denied, Permitted, Refused, Text
from gongshu.base.digest import Ref
from gongshu.base.money import Tier
from gongshu.catalog.types import Dimension, QualityItem
from gongshu.console.clock import DAYS_MAX, decide_move
from gongshu.console.drawing import STACKED_MAX, draw_lifeline
from gongshu.console.forms import Form, read_policy_uses
from gongshu.console.language import Language, negotiate
from gongshu.console.navigation import GROUPS, groups_for
from gongshu.console.pages.door import inside
from gongshu.console.pictures import quality_by_dimension, split_rows, tier_rows
from gongshu.grants.types import PriceRule
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Use
from gongshu.supervision.types import Direction, Lifeline, LifelineEdge, LifelineNode


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", Language.CHINESE),
        ("zh-CN,zh;q=0.9,en;q=0.8", Language.CHINESE),
        ("en-GB,en;q=0.9", Language.ENGLISH),
        ("fr-FR,fr;q=0.9,en;q=0.5", Language.ENGLISH),
        ("fr", Language.CHINESE),
        ("en;q=0.2,zh;q=0.3", Language.CHINESE),
        ("en;q=0", Language.CHINESE),
        ("en;q=nonsense", Language.CHINESE),
        (",,;;==", Language.CHINESE),
    ],
)
def test_the_first_language_that_we_speak_is_chosen(header: str, language: Language) -> None:
    assert negotiate(header) is language


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/audit", "/audit"),
        ("/grants/grant-1", "/grants/grant-1"),
        ("", "/"),
        ("https://elsewhere.example/x", "/"),
        ("//elsewhere.example/x", "/"),
        ("/\\elsewhere.example", "/"),
        ("javascript:alert(1)", "/"),
        ("relative", "/"),
    ],
)
def test_nobody_is_led_to_another_site(path: str, kept: str) -> None:
    assert inside(path) == kept


def form(*pairs: tuple[str, str]) -> Form:
    """Return a form with these fields."""
    return Form(FormData(list(pairs)))


def codes(read: Form) -> list[str]:
    """Return why a form is refused."""
    with pytest.raises(Refused) as refused:
        read.check()
    return [reason.code for reason in refused.value.reasons]


def test_everything_that_cannot_be_read_is_told_at_once() -> None:
    read = form(("days", "ten"), ("price", "1.005"), ("day", "2026-02-30"), ("rate", "NaN"), ("month", "2026"))
    read.whole("days")
    read.yuan_minor("price")
    read.day("day")
    read.decimal("rate")
    read.month("month")
    read.text("absent")
    assert codes(read) == ["form-field-unreadable"] * 5 + ["form-field-empty"]


def test_what_can_be_read_is_read() -> None:
    read = form(
        ("n", " 12 "), ("yuan", "1,234.50"), ("day", "2026-03-16"), ("month", "2026-03"), ("rate", "0.50"),
        ("lines", "one\n\n two \n"), ("many", "a"), ("many", ""), ("many", "b"), ("use", "reveal"), ("ticked", "1"),
    )  # fmt: skip
    assert (read.whole("n"), read.yuan_minor("yuan"), read.decimal("rate")) == (12, 123_450, "0.50")
    assert (read.day("day"), read.month("month")) == (date(2026, 3, 16), date(2026, 3, 1))
    assert (read.lines("lines"), read.many("many")) == (("one", "two"), ("a", "b"))
    assert (read.choice("use", Use), read.choice("absent", Use)) == (Use.REVEAL, None)
    assert (read.is_set("ticked"), read.is_set("absent")) == (True, False)
    read.check()


def test_a_choice_that_does_not_exist_is_refused() -> None:
    read = form(("use", "everything"))
    assert read.choice("use", Use) is None
    assert codes(read) == ["form-field-unreadable"]


def test_a_text_beyond_the_limit_is_refused() -> None:
    read = form(("text", "x" * 20_001))
    read.text("text")
    assert codes(read) == ["form-field-too-long"]


def test_ticked_uses_keep_mask_unit_and_row_filter_of_what_was_offered() -> None:
    offered = ResourcePolicy(
        (ColumnPolicy("a", frozenset(Use)), ColumnPolicy("b", frozenset({Use.JOIN}))), ("b",), "a > 1"
    )
    read = form(("uses-r-a", "group"), ("uses-r-a", "filter"), ("uses-r-a", "nonsense"), ("uses-x-b", "join"))
    narrowed = read_policy_uses(read, "uses-r-", offered)
    assert narrowed == ResourcePolicy((ColumnPolicy("a", frozenset({Use.GROUP, Use.FILTER})),), ("b",), "a > 1")


@pytest.mark.parametrize(
    ("days", "is_demo", "refused"),
    [
        (1, True, []),
        (DAYS_MAX, True, []),
        (0, True, ["clock-days-out-of-range"]),
        (-1, True, ["clock-days-out-of-range"]),
        (DAYS_MAX + 1, True, ["clock-days-out-of-range"]),
        (1, False, ["clock-is-real"]),
        (0, False, ["clock-is-real", "clock-days-out-of-range"]),
    ],
)
def test_the_clock_moves_forward_in_a_demo_only(days: int, is_demo: bool, refused: list[str]) -> None:
    decision = decide_move(days, is_demo=is_demo)
    assert [reason.code for reason in decision.reasons] == refused
    assert decision == Permitted(timedelta(days=days)) if not refused else isinstance(decision, Denied)


def test_a_stranger_sees_the_open_places_only() -> None:
    paths = {place.path for group in groups_for(frozenset({Role.PUBLIC}), is_known=False) for place in group.places}
    assert paths == {"/market", "/portal", "/portal/verify", "/portal/consent"}


def test_every_role_but_the_public_has_a_start_page() -> None:
    for role in set(Role) - {Role.PUBLIC}:
        assert groups_for(frozenset({role}), is_known=True)[0].places[0].path == "/"


def test_every_place_has_an_address_of_its_own() -> None:
    paths = [place.path for group in GROUPS for place in group.places]
    assert len(set(paths)) == len(paths)


def test_tiers_are_shown_from_bound_to_bound() -> None:
    assert tier_rows((Tier(500, "5.00"), Tier(None, "4.00"))) == [(0, 500, "5.00"), (500, None, "4.00")]


def test_the_parts_of_a_split_make_a_whole() -> None:
    price = PriceRule(600, (Tier(20_000_000, "0.5"), Tier(None, "0.6")), "0.4")
    for row in split_rows(price):
        assert Decimal(str(row.supplier)) + Decimal(str(row.treasury)) + Decimal(str(row.operator)) == 100
    assert [(row.supplier, row.treasury, row.operator) for row in split_rows(price)] == [(30, 20, 50), (36, 24, 40)]


def test_a_dimension_without_checks_counts_as_passed() -> None:
    items = (
        QualityItem(Dimension.ACCURACY, "date-plausible", "a", 200, 1),
        QualityItem(Dimension.ACCURACY, "date-plausible", "b", 0, 0),
        QualityItem(Dimension.TIMELINESS, "within-update-cycle", "", 0, 0),
    )
    assert quality_by_dimension(items) == {Dimension.ACCURACY: 99.5, Dimension.TIMELINESS: 100.0}


def node(kind: str, name: str) -> LifelineNode:
    """Return an object of a lifeline."""
    return LifelineNode(kind, name, "d" * 64, Text(kind, kind), None, "", "", "", 0)


def lifeline(nodes: tuple[LifelineNode, ...], *edges: tuple[LifelineNode, LifelineNode]) -> Lifeline:
    """Return a lifeline of nodes with edges from parent to child."""
    start = nodes[-1].ref
    return Lifeline(
        start, Direction.BACK, nodes, tuple(LifelineEdge(child.ref, parent.ref) for parent, child in edges),
        Trace(start, (), ()),
    )  # fmt: skip


def test_boxes_of_a_lifeline_never_overlap_and_lie_in_their_band() -> None:
    nodes = tuple(
        node(kind, f"{kind}-{number}")
        for kind in ("call", "resource_version", "grant", "job", "review", "contract", "stranger")
        for number in range(3)
    )
    drawing = draw_lifeline(lifeline(nodes))
    places = {(box.x, box.y) for box in drawing.boxes}
    assert len(places) == len(drawing.boxes) == len(nodes)
    for box in drawing.boxes:
        band = next(band for band in drawing.bands if band.stage == box.stage)
        assert band.y <= box.y < band.y + band.height
        assert box.x < drawing.width
    assert [band.stage for band in drawing.bands] == ["supply", "authorise", "compute", "market", "money", "other"]


def test_what_does_not_fit_is_counted() -> None:
    many = tuple(node("contract", f"contract-{number:02}") for number in range(STACKED_MAX + 7))
    drawing = draw_lifeline(lifeline(many))
    assert len(drawing.boxes) == STACKED_MAX
    assert [hidden for _, _, hidden in drawing.bands[0].left_out] == [7]


def test_each_edge_between_drawn_boxes_becomes_a_line() -> None:
    version, grant, call = node("resource_version", "v"), node("grant", "g"), node("call", "c")
    missing = node("job", "gone")
    drawing = draw_lifeline(
        lifeline((version, grant, call), (version, grant), (grant, call), (missing, call), (call, version))
    )
    assert len(drawing.lines) == 3
    assert all(line.startswith("M") for line in drawing.lines)


def test_the_start_of_a_lifeline_is_marked() -> None:
    drawing = draw_lifeline(lifeline((node("grant", "g"), node("call", "c"))))
    assert [box.node.id for box in drawing.boxes if box.is_start] == ["c"]
    assert Ref("call", "c", "d" * 64) == lifeline((node("call", "c"),)).start
