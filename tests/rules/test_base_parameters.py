"""Dated parameters, digests and ids."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

import pytest

from gongshu.base.digest import Ref, canonical_json, digest_of, sha256_hex
from gongshu.base.parameters import Confidence, Parameter, Parameters
from gongshu.server.wiring import TimeOrderedIds, load_parameters


def parameter(value, start, end=None, key="term"):
    return Parameter(key, value, "years", start, end, "a law", Confidence.CONFIRMED, "期限", "Term")


DATED = Parameters(
    (
        parameter(3, date(2025, 1, 1), date(2026, 1, 1)),
        parameter(5, date(2026, 1, 1)),
        parameter("0.5", date(2026, 1, 1), key="share"),
    )
)


@pytest.mark.parametrize(
    ("day", "value"), [(date(2025, 1, 1), 3), (date(2025, 12, 31), 3), (date(2026, 1, 1), 5), (date(2099, 1, 1), 5)]
)
def test_a_case_keeps_the_number_of_its_day(day, value):
    assert DATED.number("term", day) == value


@pytest.mark.parametrize(("key", "day"), [("term", date(2024, 12, 31)), ("terms", date(2026, 1, 1))])
def test_a_rule_without_its_number_does_not_go_on(key, day):
    with pytest.raises(KeyError, match=key):
        DATED.number(key, day)


def test_texts_and_numbers_are_not_mixed_up():
    assert DATED.text("share", date(2026, 1, 1)) == "0.5"
    assert DATED.text("term", date(2026, 1, 1)) == "5"
    with pytest.raises(TypeError):
        DATED.number("share", date(2026, 1, 1))


def test_the_parameters_that_ship_do_not_overlap_and_say_where_they_come_from():
    entries = load_parameters().entries
    for entry in entries:
        assert entry.source, entry.key
        assert entry.unit, entry.key
        assert entry.title_zh, entry.key
        assert entry.title_en, entry.key
        assert entry.end is None or entry.start < entry.end, entry.key
        others = [other for other in entries if other.key == entry.key and other is not entry]
        assert not [
            other for other in others if other.start <= entry.start and (other.end is None or entry.start < other.end)
        ]


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Thing:
    b: int
    a: str
    when: datetime
    colours: tuple[Colour, ...]
    names: dict[str, str]


THING = Thing(1, "名", datetime(2026, 3, 1, tzinfo=UTC), (Colour.RED,), {"z": "1", "y": "2"})


def test_the_canonical_form_is_sorted_json_without_white_space():
    text = '{"a":"名","b":1,"colours":["red"],"names":{"y":"2","z":"1"},"when":"2026-03-01T00:00:00Z"}'
    assert canonical_json(THING) == text.encode()
    assert digest_of(THING) == sha256_hex(text.encode())


def test_the_digest_is_sha_256():
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_different_value_has_a_different_digest():
    assert digest_of(Ref("a", "bc", "")) != digest_of(Ref("ab", "c", ""))


def test_ids_rise_strictly_also_within_a_millisecond():
    ids = TimeOrderedIds()
    made = [ids.make("grant") for _ in range(5_000)]
    assert made == sorted(set(made))
    assert all(len(one) == len("grant-") + 28 for one in made)


def test_ids_rise_when_the_clock_is_set_back(monkeypatch):
    ids, moment = TimeOrderedIds(), datetime(2026, 3, 1, tzinfo=UTC)
    made = []
    for back in (timedelta(), timedelta(hours=1), timedelta(hours=2)):
        nanoseconds = int((moment - back).timestamp()) * 10**9
        monkeypatch.setattr("time.time_ns", lambda nanoseconds=nanoseconds: nanoseconds)
        made.append(ids.make("x"))
    assert made == sorted(set(made))
