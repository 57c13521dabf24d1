"""The intersection equals that of plain sets, and only the learners have it."""

import random
from dataclasses import replace

from gongshu.compute.adapters.joint import keys, party
from gongshu.compute.rules import joint
from gongshu.compute.types import JointKind
from gongshu.policies.types import Thresholds
from tests.joint.conftest import BANK, GOVERNMENT


def matched(pair, agreed, side, texts):
    """Return which of a side's own texts its node found in both sets."""
    record = joint.recorder(agreed, side)
    hashes = keys.read_matched(pair.outbox(side) / party.MATCHED)
    return {text for text in texts if record(text, None)[0] in hashes}


def test_both_learn_the_same_set_as_plain_python_and_hear_how_far_it_is(pair, agreed):
    draw = random.Random(7)
    ours = {f"91{draw.randrange(4_000):016d}" for _ in range(2_000)}
    theirs = {f"91{draw.randrange(4_000):016d}" for _ in range(1_500)}
    both = agreed(JointKind.INTERSECTION, (BANK, GOVERNMENT))
    told = pair.meet(
        pair.bring(0, both, ((key, None) for key in ours)), pair.bring(1, both, ((key, None) for key in theirs))
    )
    assert [(one.code, one.passes, one.count) for one in told] == [("", True, len(ours & theirs))] * 2
    assert matched(pair, both, 0, ours) == matched(pair, both, 1, theirs) == ours & theirs
    for heard in pair.progress.values():
        percents = [one.percent for one in heard]
        assert percents == sorted(percents)
        assert percents[-1] >= 95
        assert {one.phase for one in heard} >= {"connecting", "agreed", "intersecting"}
    assert not list(pair.folder.glob("scratch*"))


def test_spellings_of_one_key_meet_and_only_the_learner_knows(pair, agreed):
    ours = [f"ａｂ {number:03d}" for number in range(20)]  # full-width letters and a space
    theirs = [f"AB{number:03d}" for number in range(5, 40)] + [None, ""]
    only_bank = agreed(JointKind.INTERSECTION)
    told = pair.meet(
        pair.bring(0, only_bank, ((key, None) for key in ours)),
        pair.bring(1, only_bank, ((key, None) for key in theirs)),
    )
    assert (told[0].passes, told[0].count) == (True, 15)
    assert matched(pair, only_bank, 0, ours) == set(ours[5:])
    assert told[1] == replace(told[0], passes=None, count=None)
    assert not list(pair.outbox(1).iterdir())


def test_an_intersection_below_the_threshold_is_withheld(pair, agreed):
    few = agreed(JointKind.INTERSECTION, thresholds=Thresholds(30, 10, 2, 90))
    told = pair.meet(
        pair.bring(0, few, ((f"K{number}", None) for number in range(100))),
        pair.bring(1, few, ((f"K{number}", None) for number in range(71, 200))),  # 29 in both
    )
    assert [(one.code, one.passes, one.count) for one in told] == [("", False, None), ("", None, None)]
    pair.assert_nothing_is_left()
