"""Decisions, rules and status tables as values."""

from enum import StrEnum

import pytest

from gongshu.base.decisions import (
    NOT_FOUND,
    RULES,
    WRONG_STATUS,
    Denied,
    Kind,
    Permitted,
    Refused,
    Text,
    decide,
    decide_step,
    rule,
)


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    OFF = "off"


TRANSITIONS = {
    (Light.RED, "go"): (Light.GREEN, "controller"),
    (Light.GREEN, "stop"): (Light.RED, "controller"),
    (Light.RED, "cut"): (Light.OFF, "engineer"),
}


def test_a_decision_permits_only_without_reasons():
    one, other = NOT_FOUND.because(kind="a", id="b"), NOT_FOUND.because(kind="c", id="d")
    assert decide(3) == decide(3, None, None) == Permitted(3)
    assert decide(3, one, None, other) == Denied((one, other))


def test_a_permission_gives_its_value_and_a_refusal_raises_all_its_reasons():
    reasons = (
        NOT_FOUND.because(kind="a", id="b"),
        WRONG_STATUS.because(kind="k", status="s", action="x", possible="—"),
    )
    assert (Permitted(3).value_or_raise(), Permitted(3).reasons) == (3, ())
    with pytest.raises(Refused, match=r"^not-found, wrong-status$") as refused:
        Denied(reasons).value_or_raise()
    assert refused.value.reasons == reasons


def test_a_reason_is_said_in_both_languages_with_the_facts_of_the_case():
    reason = NOT_FOUND.because(kind="grant", id="grant-1")
    assert reason.code == "not-found"
    assert reason.what == Text(zh="没有找到grant grant-1。", en="There is no grant grant-1.")
    assert reason.fix.en == "Check the id; or you may not be allowed to know of it."


def test_facts_are_texts_in_order_of_their_names():
    assert NOT_FOUND.because(kind="a", id=7).facts == (("id", "7"), ("kind", "a"))


def test_a_missing_fact_is_a_mistake_of_the_programmer():
    with pytest.raises(KeyError):
        _ = NOT_FOUND.because(kind="a").what


def test_one_code_belongs_to_one_rule():
    assert rule(
        "not-found", NOT_FOUND.kind, zh=NOT_FOUND.what.zh, en=NOT_FOUND.what.en,
        fix_zh=NOT_FOUND.fix.zh, fix_en=NOT_FOUND.fix.en,
    ) == RULES["not-found"]  # fmt: skip
    with pytest.raises(ValueError, match="share the code not-found"):
        rule("not-found", Kind.CONFLICT, zh="", en="", fix_zh="", fix_en="")
    assert RULES["not-found"] is NOT_FOUND


@pytest.mark.parametrize(
    ("status", "action", "expected"),
    [(Light.RED, "go", Light.GREEN), (Light.GREEN, "stop", Light.RED), (Light.RED, "cut", Light.OFF)],
)
def test_a_step_of_the_table_is_permitted(status, action, expected):
    assert decide_step("light", TRANSITIONS, status, action) == Permitted(expected)


@pytest.mark.parametrize(
    ("status", "action", "possible"),
    [(Light.RED, "stop", "cut, go"), (Light.GREEN, "go", "stop"), (Light.OFF, "go", "—"), (Light.RED, "", "cut, go")],
)
def test_any_other_step_is_refused_with_what_is_possible(status, action, possible):
    denied = decide_step("light", TRANSITIONS, status, action)
    assert denied == Denied((WRONG_STATUS.because(kind="light", status=status, action=action, possible=possible),))
