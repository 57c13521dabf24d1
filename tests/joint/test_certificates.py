"""Each side shows its certificate and accepts exactly the one that the agreement names for the peer; nothing else is met."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gongshu.compute.adapters.joint import party
from gongshu.compute.types import JointKind, JointLimits

SECRET, OTHER = b"1" * 32, b"2" * 32


def meet(pair, agreed, first, second):
    runs = [pair.bring(side, agreed, ((f"K{number}", None) for number in range(50))) for side in (0, 1)]
    with ThreadPoolExecutor(2) as both:
        told = [
            both.submit(party.run_party, run, pair.station(side, certificates))
            for side, (run, certificates) in enumerate(zip(runs, (first, second), strict=True))
        ]
        return [one.result() for one in told]


def test_parties_with_each_others_certificates_meet(pair, agreed):
    shown = pair.certificates(0, "bank", "government"), pair.certificates(1, "government", "bank")
    told = meet(pair, agreed(JointKind.INTERSECTION), *shown)
    assert [one.code for one in told] == ["", ""]
    assert told[0].count == 50


@pytest.mark.slow
@pytest.mark.parametrize(("own", "peer"), [("impostor", "bank"), ("government", "impostor")])
def test_a_stranger_is_not_met(pair, agreed, own, peer):
    shown = pair.certificates(0, "bank", "government"), pair.certificates(1, own, peer)
    told = meet(pair, agreed(JointKind.INTERSECTION, limits=JointLimits(8, 5, 30)), *shown)
    assert [one.code for one in told] == ["joint-peer-absent"] * 2
    pair.assert_nothing_is_left()
