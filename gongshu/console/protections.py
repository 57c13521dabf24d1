"""What an agency demands beside the thresholds, as a form: bounds, rounding, noise with a budget."""

from decimal import Decimal

from gongshu.base.ids import ResourceId
from gongshu.console.forms import Form
from gongshu.policies.types import (
    Clamp,
    ContributionBounds,
    Noise,
    NoiseMechanism,
    Protection,
    Rounding,
    RoundingMethod,
)

PICO = 10**12
CLAMP_PREFIX = "clamp-"


def read_protection(form: Form) -> Protection | None:
    """Return what was chosen; ``None`` for what the parameters of the day say."""
    choice = form.text("protection", is_required=False)
    if not choice:
        return None
    bounds = _bounds(form)
    if choice == "rounding":
        method = form.choice("rounding-method", RoundingMethod) or RoundingMethod.NEAREST
        return Protection(
            bounds, Rounding(form.whole("rounding-base"), method, _whole_or_none(form, "rounding-redact"))
        )
    if choice == "noise":
        return Protection(bounds, noise=_noise(form))
    return Protection(bounds)


def _whole_or_none(form: Form, name: str) -> int:
    return form.whole(name) if form.text(name, is_required=False) else 0


def _bounds(form: Form) -> ContributionBounds | None:
    rows, groups = _whole_or_none(form, "bounds-rows"), _whole_or_none(form, "bounds-groups")
    return ContributionBounds(rows or 1, groups) if rows or groups else None


def _noise(form: Form) -> Noise:
    """Read ε as a decimal and δ as "one in so many"."""
    clamps = tuple(
        Clamp(ResourceId(resource), column, form.whole(f"{CLAMP_PREFIX}{name}"), form.whole(f"clampto-{name}"))
        for name in form.names(CLAMP_PREFIX)
        for resource, _, column in (name.partition("/"),)
        if form.text(f"{CLAMP_PREFIX}{name}", is_required=False) or form.text(f"clampto-{name}", is_required=False)
    )
    return Noise(
        form.choice("noise-mechanism", NoiseMechanism) or NoiseMechanism.LAPLACE, _milli(form, "noise-epsilon"),
        _one_in(form, "noise-delta"), _milli(form, "noise-budget-epsilon"), _one_in(form, "noise-budget-delta"), clamps,
    )  # fmt: skip


def _milli(form: Form, name: str) -> int:
    return int(Decimal(form.decimal(name)) * 1000)


def _one_in(form: Form, name: str) -> int:
    many = form.whole(name)
    return PICO // many if many > 0 else 0
