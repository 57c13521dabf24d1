"""What holds for any order of votes, any number of calls, any split."""

from datetime import date
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gongshu.base import identifiers
from gongshu.base.decisions import Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import PartyId
from gongshu.base.money import Tier, price_units_minor
from gongshu.billing.rules import statements as billing
from gongshu.egress.rules import reviews
from gongshu.egress.types import OutputStatus, ReviewKind
from gongshu.grants.types import PriceRule
from gongshu.metering.types import UsageCount
from gongshu.products import rules as products
from gongshu.products.types import ContractStatus
from tests import samples
from tests.samples import BANK, DEVELOPER, OPERATOR

VOTES = st.tuples(
    st.sampled_from(ReviewKind),
    st.sampled_from(["one", "two", "three", "developer-person"]),
    st.booleans(),  # approves
    st.booleans(),  # looked at these bytes
    st.booleans(),  # of the author's organisation
)


@given(st.lists(VOTES, max_size=8))
def test_no_order_of_votes_releases_on_fewer_than_two_reviews(attempts):
    output = samples.output(status=OutputStatus.IN_REVIEW)
    for kind, reviewer, approves, is_current, is_own in attempts:
        vote = samples.vote(
            kind, reviewer, approves=approves, output_digest=output.digest if is_current else "0" * 64,
            party=DEVELOPER if is_own else PartyId(f"party-of-{reviewer}"),
        )  # fmt: skip
        decision = reviews.decide_vote(output, vote, is_related=False)
        output = decision.value if isinstance(decision, Permitted) else output
        released = reviews.decide_release(output, OPERATOR, samples.output_standing(), reviews_min=2)
        is_sound = (
            {v.kind for v in output.votes} == set(ReviewKind)
            and all(v.approves and v.output_digest == output.digest for v in output.votes)
            and len({v.reviewer for v in output.votes}) == 2
            and all(v.party != DEVELOPER and v.reviewer != output.author for v in output.votes)
        )
        assert isinstance(released, Permitted) == is_sound


@given(st.lists(st.sampled_from(["sign operator", "sign bank", "sign other", "terminate"]), max_size=8))
def test_no_order_of_actions_performs_a_contract_that_one_side_has_not_signed(actions):
    contract = samples.contract()
    for action in actions:
        if action == "terminate":
            decision = products.decide_terminate(contract, "x", samples.NOW)
        else:
            party = {"operator": OPERATOR, "bank": BANK, "other": PartyId("other")}[action.split()[1]]
            # The service lets neither side's stranger come this far; the rule must hold without it for the order.
            if party == "other":
                continue
            decision = products.decide_sign(contract, samples.standing(), party, f"{party}-person")
        contract = decision.value if isinstance(decision, Permitted) else contract
        served = isinstance(products.decide_serve(contract, samples.standing()), Permitted)
        has_both = (contract.operator_signer, contract.consumer_signer) == ("operator-person", "bank-person")
        assert not served or has_both
        assert served == (contract.status is ContractStatus.PERFORMING)


TIERS = st.lists(st.tuples(st.integers(1, 100_000), st.integers(0, 100)), max_size=4).map(
    lambda steps: tuple(
        Tier(sum(step for step, _ in steps[: place + 1]), f"0.{rate:02d}") for place, (_, rate) in enumerate(steps)
    )
)
SHARE = st.integers(0, 100).map(lambda percent: f"{percent / 100:.2f}")


@given(st.integers(0, 10**12), TIERS, SHARE, SHARE, st.integers(0, 5))
def test_shares_add_up_to_the_fen_and_none_is_negative(income, tiers, last, treasury, suppliers):
    split = tuple(Tier(tier.up_to, str(min(Fraction(tier.rate), 1))) for tier in tiers)
    price = PriceRule(600, (*split, Tier(None, last)), treasury)
    parties = tuple(PartyId(f"supplier-{number}") for number in range(suppliers))
    shares = billing.shares_of(income, price, parties, OPERATOR)
    assert sum(share.amount_minor for share in shares) == income
    assert all(share.amount_minor >= 0 for share in shares)
    to_suppliers = [share.amount_minor for share in shares[:suppliers]]
    assert not to_suppliers or max(to_suppliers) - min(to_suppliers) <= 1, "equal weights differ by a fen at most"


MARCH = (date(2026, 3, 1), date(2026, 4, 1))


@given(st.lists(st.integers(0, 5_000), max_size=6), st.randoms())
def test_a_month_costs_the_same_however_its_segments_are_cut_and_ordered(charged, random):
    contract = samples.contract(status=ContractStatus.PERFORMING)
    tiers = contract.terms.tiers

    def counts(parts):
        return [
            UsageCount(contract.id, Ref("segment", f"s-{place:03d}", "d"), part, {"match": part})
            for place, part in enumerate(parts)
        ]

    given_counts = counts(charged)
    shuffled = list(given_counts)
    random.shuffle(shuffled)
    first = billing.charge_of(contract, samples.product(), MARCH, billing.usage_of(given_counts))
    assert billing.charge_of(contract, samples.product(), MARCH, billing.usage_of(shuffled)) == first
    assert first.billed_cost_minor == price_units_minor(sum(charged), tiers)
    assert (
        first.billed_cost_minor
        == billing.charge_of(
            contract, samples.product(), MARCH, billing.usage_of(counts([sum(charged)]))
        ).billed_cost_minor
    )
    assert sum(line.consumed_quantity for line in first.lines) == first.charged_calls == sum(charged)


@given(
    st.text(identifiers.MOD_37_ALPHABET[:36], min_size=1, max_size=50),
    st.integers(0, 49),
    st.sampled_from(identifiers.MOD_37_ALPHABET[:36]),
)
def test_one_changed_character_never_passes_the_check(body, place, other):
    code = body + identifiers.mod_37_check_character(body)
    assert identifiers.passes_mod_37(code)
    place %= len(body)
    changed = code[:place] + other + code[place + 1 :]
    assert identifiers.passes_mod_37(changed) == (changed == code)
