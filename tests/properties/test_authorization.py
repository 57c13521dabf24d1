"""Whatever anybody tries in whatever order: no review is skipped, nothing is widened, nothing outlives its grant.

A rule-based state machine drives the real services on SQLite. Each rule is one procedure with its steps in the right
order, or in any other, taken by the right people, or by others, with terms that fit, or that do not. After each rule,
what stands in the stores must be explained by the audit log and lie within what stands above it.
"""

import shutil
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gongshu.access.types import Actor, Role
from gongshu.audit import service as audit
from gongshu.audit.types import Outcome
from gongshu.base.decisions import Permitted, Refused
from gongshu.base.paging import PageRequest
from gongshu.catalog import service as catalog
from gongshu.grants import service as grants
from gongshu.grants import store as grants_store
from gongshu.grants.types import AgreementStatus, Mode, PlanStatus
from gongshu.policies import service as policies
from gongshu.policies.types import ColumnPolicy, Use
from gongshu.registry import service as registry
from gongshu.registry import store as registry_store
from gongshu.registry.types import CancellationGround, RegistrationStatus
from gongshu.scenarios import service as scenarios
from gongshu.scenarios import store as scenarios_store
from gongshu.scenarios.types import Need, ScenarioStatus
from tests import authorization as way

REGISTRATION_STEPS = (("accept", "registrar"), ("pass", "registrar"), ("wait", ""), ("code", "registrar"))
REGISTRATION_OTHERS = (
    ("accept", "registrar of the bureau"), ("pass", "registrar of the bureau"), ("code", "registrar of the bureau"),
    ("code", "registrar"), ("code", "supplier"), ("return", "registrar"), ("resubmit", "supplier"), ("object", "bank"),
    ("dismiss", "registrar"), ("uphold", "registrar"), ("refuse", "registrar"), ("cancel", "registrar"),
)  # fmt: skip
PLAN_STEPS = (("submit", "agency"), ("approve", "government"))
PLAN_OTHERS = (
    ("approve", "approver of the agency"), ("reject", "government"), ("submit", "clerk of another agency"),
    ("approve undecided", "government"), ("approve undecided", "government"),
)  # fmt: skip
DEAL_STEPS = (("sign", "agency-head"), ("sign", "operator"), ("issue", "agency"))
DEAL_OTHERS = (
    ("sign undecided", "agency-head"), ("issue", "clerk of another agency"), ("withdraw", "agency"),
    ("sign", "other-operator"), ("issue", "agency"), ("sign undecided", "agency-head"), ("sign undecided", "agency-head"),
)  # fmt: skip
SCENARIO_STEPS = (
    ("score", "assessor-1"), ("score", "assessor-2"), ("score", "assessor-3"), ("approve", "agency"),
)  # fmt: skip
SCENARIO_OTHERS = (
    ("score", "assessor of the operator"), ("approve", "clerk of another agency"), ("reject", "agency"),
    ("approve", "operator"), ("approve", "agency"), ("score", "assessor-1"),
)  # fmt: skip
AUDITOR = Actor("watch", "watch", frozenset({Role.AUDITOR}))


def moves(dice, *ordered, extra=()):
    """Return a procedure: as it should be, or with a step left out, replaced, repeated, swapped or slipped in."""
    steps = list(ordered)
    for _ in range(dice.choice((0, 0, 1, 1, 2, 4))):
        place = dice.randrange(len(steps)) if steps else 0
        match dice.randrange(4):
            case 0:
                del steps[place : place + 1]
            case 1:
                steps[place : place + 1] = [dice.choice(extra)]
            case 2:
                steps.insert(place, dice.choice((*ordered, *extra)))
            case 3:
                dice.shuffle(steps)
    return steps


def odd(dice):
    """Return a column and uses of it that may or may not be allowed."""
    return dice.choice((*way.COLUMNS, "secret")), frozenset(dice.sample(list(Use), dice.choice((1, 2))))


class Authorization(RuleBasedStateMachine):
    """Somebody tries something."""

    @initialize(seed=st.integers(min_value=0, max_value=2**32 - 1))
    def found(self, seed):
        self.dice = dice = Random(seed)
        self.open = ExitStack()
        self.folder = Path(tempfile.mkdtemp())
        self.site, self.actors, self.clock = self.open.enter_context(way.city(self.folder))
        people = self.actors
        # People who hold the right role in the wrong organisation.
        self.actors |= {
            "registrar of the bureau": replace(people["registrar"], party=people["supplier"].party),
            "approver of the agency": replace(people["government"], party=people["agency"].party),
            "assessor of the operator": replace(people["assessor-1"], party=people["operator"].party),
            "clerk of another agency": replace(people["agency"], party=people["bank"].party),
        }
        stage = dice.randrange(4)
        if stage > 0:
            case = way.register(self.site, self.actors, self.clock)
            if stage > 1:
                way.issue(self.site, self.actors, case)

    def teardown(self):
        if hasattr(self, "open"):
            self.open.close()
            shutil.rmtree(self.folder)

    def pick(self, table, dice):
        """Return one of the newest objects of a table, or nothing."""
        with self.site.db.reading() as tx:
            rows = table.page(tx, PageRequest(limit=4)).rows
        return dice.choice(rows) if rows else None

    @rule()
    def somebody_tries_something(self):
        """One rule and one seed for all procedures: drawn piece by piece, the search stays with the simplest."""
        dice = self.dice
        often = (self.register, self.plan, self.deal, self.deal, self.scenario, self.scenario, self.scenario)
        dice.choice((*often, self.end, self.wait))(dice)

    # --------------------------------------------------------------------------------------------------- procedures

    def register(self, dice):
        site, steps = self.site, moves(dice, *REGISTRATION_STEPS, extra=REGISTRATION_OTHERS)
        with suppress(Refused):
            way.submit(site, self.actors)
        case = self.pick(registry_store.REGISTRATIONS, dice)
        if case is None:
            return
        for step, who in steps:
            actor = self.actors.get(who)
            with suppress(Refused):
                match step:
                    case "wait":
                        self.clock.time += timedelta(days=20)
                    case "accept":
                        registry.accept(site, actor, case.id)
                    case "pass":
                        registry.pass_review(site, actor, case.id, "补充核查")
                    case "code":
                        registry.assign_code(site, actor, case.id)
                    case "return":
                        registry.return_for_supplement(site, actor, case.id, ("简介过短",))
                    case "resubmit":
                        registry.resubmit(site, actor, case.id, title="t", summary="s", materials=way.materials())
                    case "object":
                        registry.object_to(site, actor, case.id, "证据")
                    case "dismiss" | "uphold":
                        registry.decide_objection(site, actor, case.id, upholds=step == "uphold", reason="理由")
                    case "refuse":
                        registry.refuse(site, actor, case.id, "不合要求")
                    case "cancel":
                        registry.cancel(site, actor, case.id, ground=CancellationGround.LOST, reason="灭失")

    def plan(self, dice):
        site, parts = self.site, way.plan_parts()[dice.choice((0, 0, 1)) :]
        steps = moves(dice, *PLAN_STEPS, extra=PLAN_OTHERS)
        plan = grants.write_plan(site, self.actors["agency"], title="方案", mode=Mode.SCENARIO, parts=parts)
        for step, who in steps:
            with suppress(Refused):
                if step == "submit":
                    grants.submit_plan(site, self.actors[who], plan.id)
                else:
                    decision = way.DECISION if step == "approve" else None
                    grants.decide_plan(site, self.actors[who], plan.id, step != "reject", decision, "理由")

    def deal(self, dice):
        site, case = self.site, self.pick(registry_store.REGISTRATIONS, dice)
        plan = self.pick(grants_store.PLANS, dice) or way.approve_plan(site, self.actors)
        days, steps = dice.choice((400, 1000, 1826, 1900, 2200)), moves(dice, *DEAL_STEPS, extra=DEAL_OTHERS)
        if case is None:
            return
        terms = way.grant_terms(case, start=self.clock.time, days=days)
        if dice.random() < 0.5:
            policy = replace(way.POLICY, columns=(*way.POLICY.columns[:1], ColumnPolicy(*odd(dice))))
            terms = replace(terms, scope=(replace(terms.scope[0], policy=policy),))
        with suppress(Refused):
            agreement = way.propose(site, self.actors, plan, terms)
            for step, who in steps:
                with suppress(Refused):
                    if step == "issue":
                        grants.issue_grant(site, self.actors[who], agreement.id)
                    elif step == "withdraw":
                        grants.withdraw_agreement(site, self.actors[who], agreement.id, "有误")
                    else:
                        decision = None if step == "sign undecided" else way.DECISION
                        grants.sign_agreement(site, self.actors[who], agreement.id, decision)

    def scenario(self, dice):
        site, grant = self.site, self.pick(grants_store.GRANTS, dice)
        steps = moves(dice, *SCENARIO_STEPS, extra=SCENARIO_OTHERS)
        if grant is None:
            return
        terms, days = way.scenario_terms(grant, self.clock.time), dice.choice((10, 100, 3000))
        terms = replace(terms, period=replace(terms.period, end=self.clock.time + timedelta(days=days)))
        if dice.random() < 0.5:
            terms = replace(terms, needs=(Need(way.RESOURCE, *odd(dice), "需要"),))
        if dice.random() < 0.2:
            terms = replace(terms, purpose="advertising")
        points = dict.fromkeys(way.FULL_POINTS, 13) if dice.random() < 0.3 else way.FULL_POINTS
        with suppress(Refused):
            filed = scenarios.apply(site, self.actors["operator"], terms=terms)
            for step, who in steps:
                with suppress(Refused):
                    if step == "score":
                        scenarios.score(site, self.actors[who], filed.id, points, dict.fromkeys(points, "理由"))
                    else:
                        approves = step == "approve"
                        scenarios.decide(site, self.actors[who], filed.id, approves=approves, reason="理由")

    def end(self, dice):
        grant = self.pick(grants_store.GRANTS, dice)
        actor = self.actors[dice.choice(("agency", "operator", "clerk of another agency"))]
        if grant is None:
            return
        with suppress(Refused), self.site.db.transaction() as tx:
            disposals = scenarios.stop_under_in(tx, self.site, actor, grant.id, "终止")
            grants.end_in(tx, self.site, actor, grant.id, "终止", disposals)

    def wait(self, dice):
        self.clock.time += timedelta(days=dice.choice((1, 10, 100)))
        registry.lapse_expired(self.site)

    # --------------------------------------------------------------------------------------------------- invariants

    def permitted(self, subject_id):
        """Return the permitted entries about an object, oldest first."""
        entries = audit.list_entries(self.site, AUDITOR, PageRequest(limit=200), subject_id=subject_id).rows
        return [entry for entry in reversed(entries) if entry.outcome is Outcome.PERMITTED]

    def rows(self, table):
        with self.site.db.reading() as tx:
            return table.all(tx)

    @invariant()
    def every_code_followed_acceptance_review_and_its_whole_publicity(self):
        valid = 0
        for case in self.rows(registry_store.REGISTRATIONS):
            if case.coded_at is None:
                continue
            valid += case.is_valid(self.site.today())
            entries = self.permitted(case.id)
            actions = [entry.action for entry in entries][
                : 1 + [e.action for e in entries].index("registration.assign_code")
            ]
            accepted = len(actions) - 1 - actions[::-1].index("registration.accept")
            assert "registration.pass_review" in actions[accepted:]
            assert "registration.submit" not in actions[accepted:]
            assert "registration.resubmit" not in actions[accepted:]
            assert actions.count("registration.object") == actions.count("registration.dismiss_objection")
            by_registrar = {entry.party for entry in entries} - {case.terms.registrant, "bank", "platform"}
            assert by_registrar == {"registrar"}
            steps = {e.action for e in entries if e.party == case.terms.registrant}
            assert steps <= {"registration.submit", "registration.resubmit"}
            assert (case.coded_at - case.reviewed_at).days > 10, "ten working days are more than ten days"
            assert case.status in {RegistrationStatus.CODED, RegistrationStatus.CANCELLED, RegistrationStatus.LAPSED}
        assert valid <= 1

    @invariant()
    def every_plan_in_effect_is_whole_and_was_decided_by_somebody_else(self):
        for plan in self.rows(grants_store.PLANS):
            if plan.status is not PlanStatus.EFFECTIVE:
                continue
            assert {part.code for part in plan.parts} == {part.code for part in way.plan_parts()}
            entries = self.permitted(plan.id)
            assert [entry.action for entry in entries][-2:] == ["plan.submit", "plan.approve"]
            assert entries[-1].party != plan.agency
            assert plan.decision == way.DECISION

    @invariant()
    def every_agreement_in_effect_was_signed_by_both_and_every_grant_follows_from_one(self):
        for agreement in self.rows(grants_store.AGREEMENTS):
            with self.site.db.reading() as tx:
                plan = grants_store.PLANS.get(tx, agreement.plan.id)
            assert (plan.status, plan.ref) == (PlanStatus.EFFECTIVE, agreement.plan)
            assert (agreement.terms.period.end - agreement.terms.period.start).days <= 5 * 365 + 2
            if agreement.status is AgreementStatus.EFFECTIVE:
                signatures = [entry for entry in self.permitted(agreement.id) if entry.action == "agreement.sign"]
                assert [entry.party for entry in signatures] == ["agency", "operator"]
                assert signatures[0].person != signatures[1].person
                assert agreement.decision == way.DECISION
        of = [grant.agreement.id for grant in self.rows(grants_store.GRANTS)]
        assert len(of) == len(set(of))
        for grant in self.rows(grants_store.GRANTS):
            with self.site.db.reading() as tx:
                agreement = grants_store.AGREEMENTS.get(tx, grant.agreement.id)
            assert (grant.terms, grant.agreement) == (agreement.terms, agreement.ref)
            assert agreement.operator_signer is not None

    @invariant()
    def nothing_below_is_wider_than_what_is_above(self):
        with self.site.db.reading() as tx:
            resource = catalog.resource_in(tx, way.RESOURCE)
        for agreement in self.rows(grants_store.AGREEMENTS):
            assert policies.is_no_wider(resource.policy, agreement.terms.scope[0].policy)
        for scenario in self.rows(scenarios_store.SCENARIOS):
            with self.site.db.reading() as tx:
                terms = grants.grant_in(tx, scenario.terms.grant).terms
            assert scenario.terms.period.lies_in(terms.period)
            assert scenario.terms.purpose in terms.purposes
            assert all(need.uses <= terms.scope[0].policy.of(need.column).uses for need in scenario.terms.needs)
        for entitlement in self.rows(scenarios_store.ENTITLEMENTS):
            with self.site.db.reading() as tx:
                grant = grants.grant_in(tx, entitlement.grant.id)
                scenario = scenarios_store.SCENARIOS.get(tx, entitlement.scenario.id)
                usable = scenarios.is_usable_in(tx, entitlement.id, self.clock.time)
                coded = registry.coded_for_in(tx, way.RESOURCE, self.site.today())
            (narrowed,) = entitlement.resources
            assert policies.is_no_wider(grant.terms.scope[0].policy, narrowed.policy)
            needs = {need.column: policies.closed(need.uses) for need in scenario.terms.needs}
            assert all(column.uses <= needs[column.column] for column in narrowed.policy.columns)
            assert entitlement.period == scenario.terms.period
            if isinstance(usable, Permitted):
                assert grant.is_in_force(self.clock.time)
                assert coded is not None

    @invariant()
    def every_approval_followed_enough_scores_by_different_people_without_a_tie(self):
        for scenario in self.rows(scenarios_store.SCENARIOS):
            assert len({given.assessor for given in scenario.scores}) == len(scenario.scores)
            assert {given.party for given in scenario.scores}.isdisjoint({"operator", "developer", "agency"})
            if scenario.status is not ScenarioStatus.APPROVED:
                continue
            assert len(scenario.scores) >= 3
            assert sum(sum(given.points.values()) for given in scenario.scores) >= 70 * len(scenario.scores)
            (approval,) = [entry for entry in self.permitted(scenario.id) if entry.action == "scenario.approve"]
            assert approval.party == "agency"
        made = {entitlement.scenario.id for entitlement in self.rows(scenarios_store.ENTITLEMENTS)}
        approved = {s.id for s in self.rows(scenarios_store.SCENARIOS) if s.status is ScenarioStatus.APPROVED}
        assert made == approved


TestAuthorization = Authorization.TestCase
TestAuthorization.settings = settings(
    max_examples=50, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # the steps are printed; making them fewer takes minutes
)  # fmt: skip
