"""What an agency may demand beside the thresholds, and what no engine could keep."""

import pytest
from starlette.datastructures import FormData

from gongshu.base.ids import ResourceId
from gongshu.console.forms import Form
from gongshu.console.protections import read_protection
from gongshu.policies import service as policies
from gongshu.policies.types import (
    Clamp,
    ContributionBounds,
    Noise,
    NoiseMechanism,
    Protection,
    Rounding,
    RoundingMethod,
    Thresholds,
)

LIMITS = policies.NoiseLimits(2000, 1_000_000, 20_000, 100_000_000)
R = ResourceId("r")
TOTAL = frozenset({(R, "amount"), (R, "size")})
BOUNDS = ContributionBounds(2, 3)


def noise(**changes):
    given = {
        "mechanism": NoiseMechanism.LAPLACE, "epsilon_milli": 500, "delta_pico": 1000, "budget_epsilon_milli": 5000,
        "budget_delta_pico": 10_000, "clamps": (Clamp(R, "amount", 0, 100),),
    }  # fmt: skip
    return Noise(**{**given, **changes})


CASES = [
    (Protection(), []),
    (Protection(BOUNDS), []),
    (Protection(ContributionBounds(1)), []),
    (Protection(ContributionBounds(0)), ["bounds-wrong"]),
    (Protection(ContributionBounds(1, -1)), ["bounds-wrong"]),
    (Protection(rounding=Rounding(5)), []),
    (Protection(rounding=Rounding(5, redact_max=7)), []),
    (Protection(rounding=Rounding(6, RoundingMethod.MIDPOINT)), []),
    (Protection(rounding=Rounding(5, RoundingMethod.MIDPOINT)), ["rounding-wrong"]),
    (Protection(rounding=Rounding(1)), ["rounding-wrong"]),
    (Protection(rounding=Rounding(5, redact_max=-1)), ["rounding-wrong"]),
    (Protection(BOUNDS, noise=noise()), []),
    (Protection(BOUNDS, noise=noise(clamps=())), []),
    (Protection(BOUNDS, Rounding(5), noise()), ["noise-beside-rounding"]),
    (Protection(noise=noise()), ["noise-without-bounds"]),
    (Protection(ContributionBounds(2), noise=noise()), ["noise-without-bounds"]),
    (Protection(BOUNDS, noise=noise(epsilon_milli=0)), ["noise-number-wrong"]),
    (Protection(BOUNDS, noise=noise(epsilon_milli=2001)), ["noise-number-wrong"]),
    (Protection(BOUNDS, noise=noise(delta_pico=0)), ["noise-number-wrong"]),
    (Protection(BOUNDS, noise=noise(budget_epsilon_milli=400)), ["noise-number-wrong"]),
    (Protection(BOUNDS, noise=noise(budget_epsilon_milli=20_001)), ["noise-number-wrong"]),
    (Protection(BOUNDS, noise=noise(budget_delta_pico=100_000_001)), ["noise-number-wrong"]),
    (Protection(BOUNDS, noise=noise(clamps=(Clamp(R, "amount", 5, 5),))), ["clamp-wrong"]),
    (Protection(BOUNDS, noise=noise(clamps=(Clamp(R, "amount", 0, 10**13),))), ["clamp-wrong"]),
    (Protection(BOUNDS, noise=noise(clamps=(Clamp(R, "name", 0, 5),))), ["clamp-wrong"]),
    (Protection(BOUNDS, noise=noise(clamps=(Clamp(ResourceId("s"), "amount", 0, 5),))), ["clamp-wrong"]),
    (Protection(BOUNDS, noise=noise(clamps=(Clamp(R, "size", 0, 5), Clamp(R, "size", 0, 9)))), ["clamp-wrong"]),
]  # fmt: skip


@pytest.mark.parametrize(("protection", "codes"), CASES)
def test_what_can_be_demanded(protection, codes):
    decided = policies.decide_protection(protection, LIMITS, TOTAL)
    assert [reason.code for reason in decided.reasons] == codes


def test_the_stricter_of_two_protections_keeps_both():
    def thresholds(protection):
        return Thresholds(10, 10, 2, 90, protection)

    bounded, rounded = Protection(ContributionBounds(5, 2)), Protection(ContributionBounds(2), Rounding(5))
    made = policies.strictest([thresholds(bounded), thresholds(rounded)]).protection
    assert made == Protection(ContributionBounds(2, 2), Rounding(5))
    noisy = policies.strictest([thresholds(rounded), thresholds(Protection(BOUNDS, noise=noise()))]).protection
    assert (noisy.rounding, noisy.noise) == (None, noise())


FORMS = [
    ({}, None),
    ({"protection": ""}, None),
    ({"protection": "plain"}, Protection()),
    ({"protection": "plain", "bounds-rows": "2", "bounds-groups": "3"}, Protection(BOUNDS)),
    (
        {"protection": "rounding", "rounding-method": "midpoint", "rounding-base": "6", "rounding-redact": ""},
        Protection(rounding=Rounding(6, RoundingMethod.MIDPOINT)),
    ),
    (
        {
            "protection": "noise", "bounds-rows": "2", "bounds-groups": "3", "noise-mechanism": "gaussian",
            "noise-epsilon": "0.5", "noise-delta": "1000000000", "noise-budget-epsilon": "5",
            "noise-budget-delta": "100000000", "clamp-r/amount": "0", "clampto-r/amount": "100", "clamp-r/size": "",
            "clampto-r/size": "",
        },
        Protection(BOUNDS, noise=noise(mechanism=NoiseMechanism.GAUSSIAN)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "protection"), FORMS)
def test_the_form_says_what_is_demanded(fields, protection):
    form = Form(FormData(fields))
    assert read_protection(form) == protection
    form.check()
