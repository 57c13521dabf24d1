"""What an agency may demand beside the thresholds: contribution bounds, rounding, noise with a budget. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from gongshu.base.decisions import Decision, Kind, Reason, decide, rule
from gongshu.base.ids import ResourceId
from gongshu.policies.types import Clamp, ContributionBounds, Noise, Protection, Rounding, RoundingMethod

CLAMP_SIZE_MAX = 10**12

BOUNDS_WRONG = rule(
    "bounds-wrong", Kind.INVALID, zh="贡献上限不正确：每组每主体至少 1 行，每主体的组数不能为负。",
    en="The contribution bounds are wrong: at least 1 row of a unit in a group, and no negative number of groups.",
    fix_zh="例如每组每主体 1 行、每主体 3 组。", fix_en="For example 1 row of a unit in a group, 3 groups of a unit.",
)  # fmt: skip
ROUNDING_WRONG = rule(
    "rounding-wrong", Kind.INVALID, zh="取整规则不正确：基数 {base}，不显示上限 {redact_max}。",
    en="The rounding is wrong: base {base}, not shown up to {redact_max}.",
    fix_zh="基数至少为 2（中点法须为偶数），不显示上限不能为负。例如最近的 5，或中点 6。",
    fix_en="Take a base of at least 2 (even for midpoint) and no negative limit, such as the nearest 5, or midpoint-6.",
    law="docs/explanation/noise-and-budgets.md",
)  # fmt: skip
NOISE_BESIDE_ROUNDING = rule(
    "noise-beside-rounding", Kind.INVALID, zh="加噪与取整不能同时要求。", en="Noise and rounding exclude each other.",
    fix_zh="请只选一种。", fix_en="Choose one of them.",
)  # fmt: skip
NOISE_WITHOUT_BOUNDS = rule(
    "noise-without-bounds", Kind.INVALID, zh="加噪须同时规定每组每主体的行数和每主体的组数上限。",
    en="Noise needs bounds: how many rows of a unit in a group, and in how many groups.",
    fix_zh="请填写两项贡献上限。", fix_en="State both contribution bounds.",
)  # fmt: skip
NOISE_NUMBER_WRONG = rule(
    "noise-number-wrong", Kind.INVALID, zh="{name} 为 {value}，应在 {least} 至 {most} 之间。",
    en="{name} is {value}; it has to lie between {least} and {most}.",
    fix_zh="请改为该范围内的整数。", fix_en="Give a whole number in this range.",
    law="docs/explanation/noise-and-budgets.md",
)  # fmt: skip
CLAMP_WRONG = rule(
    "clamp-wrong", Kind.INVALID, zh="字段 {column} 的上下限不正确：须是本场景可统计的字段，下限小于上限，只声明一次。",
    en="The bounds of the column {column} are wrong: a column with the use total, low below high, declared once.",
    fix_zh="请改正该字段的上下限，绝对值不超过 {most}。", fix_en="Correct its bounds; neither beyond {most}.",
)  # fmt: skip


@dataclass(frozen=True)
class NoiseLimits:
    """The most that one measurement may cost and one entitlement may have: ε in thousandths, δ in 1e-12."""

    epsilon_milli_max: int
    delta_pico_max: int
    budget_epsilon_milli_max: int
    budget_delta_pico_max: int


def decide_protection(
    protection: Protection, limits: NoiseLimits, total: frozenset[tuple[ResourceId, str]]
) -> Decision[Protection]:
    """Permit what can be enforced. ``total``: the resources' columns that may be summed, of which bounds can be declared."""
    reasons = [*_bounds_faults(protection.bounds), *_rounding_faults(protection.rounding)]
    noise = protection.noise
    if noise is not None:
        if protection.rounding is not None:
            reasons.append(NOISE_BESIDE_ROUNDING.because())
        if protection.bounds is None or protection.bounds.groups_per_unit_max < 1:
            reasons.append(NOISE_WITHOUT_BOUNDS.because())
        reasons += [*_noise_faults(noise, limits), *_clamp_faults(noise.clamps, total)]
    return decide(protection, *reasons)


def _bounds_faults(bounds: ContributionBounds | None) -> list[Reason]:
    is_wrong = bounds is not None and (bounds.rows_per_group_max < 1 or bounds.groups_per_unit_max < 0)
    return [BOUNDS_WRONG.because()] if is_wrong else []


def _rounding_faults(rounding: Rounding | None) -> list[Reason]:
    if rounding is None:
        return []
    is_odd = rounding.method is RoundingMethod.MIDPOINT and rounding.base % 2
    is_wrong = rounding.base < 2 or is_odd or rounding.redact_max < 0
    return [ROUNDING_WRONG.because(base=rounding.base, redact_max=rounding.redact_max)] if is_wrong else []


def _noise_faults(noise: Noise, limits: NoiseLimits) -> Iterable[Reason]:
    ranges = (
        ("epsilon_milli", noise.epsilon_milli, 1, limits.epsilon_milli_max),
        ("delta_pico", noise.delta_pico, 1, limits.delta_pico_max),
        ("budget_epsilon_milli", noise.budget_epsilon_milli, noise.epsilon_milli, limits.budget_epsilon_milli_max),
        ("budget_delta_pico", noise.budget_delta_pico, noise.delta_pico, limits.budget_delta_pico_max),
    )
    for name, value, least, most in ranges:
        if not least <= value <= most:
            yield NOISE_NUMBER_WRONG.because(name=name, value=value, least=least, most=most)


def _clamp_faults(clamps: tuple[Clamp, ...], total: frozenset[tuple[ResourceId, str]]) -> Iterable[Reason]:
    seen: set[tuple[ResourceId, str]] = set()
    for clamp in clamps:
        named = (clamp.resource, clamp.column)
        is_size = clamp.low < clamp.high and max(abs(clamp.low), abs(clamp.high)) <= CLAMP_SIZE_MAX
        if named not in total or named in seen or not is_size:
            yield CLAMP_WRONG.because(column=clamp.column[:200], most=CLAMP_SIZE_MAX)
        seen.add(named)
