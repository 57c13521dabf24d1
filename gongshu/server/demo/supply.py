"""Steps 1 to 3 of the story: files become a registered resource, and the agency grants its operation."""

import csv
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from gongshu.base.days import Period, add_years, start_of_day
from gongshu.base.money import Tier
from gongshu.catalog import service as catalog
from gongshu.catalog.types import ColumnGrade, ResourceVersion
from gongshu.grants import service as grants
from gongshu.grants.types import (
    Agreement,
    CollectiveDecision,
    Grant,
    GrantTerms,
    Mode,
    Part,
    PriceRule,
    ResourceScope,
    Right,
    SelectionMethod,
)
from gongshu.policies.types import Use
from gongshu.registry import service as registry
from gongshu.server.demo.policy import NAME, scope_policy, supplier_policy
from gongshu.server.demo.stage import Stage
from gongshu.server.demo.texts import AGREEMENT_PARTS, EXIT_DUTIES, MATERIALS, PLAN_PARTS

INCLUSIVE_FINANCE = "inclusive_finance"
PUBLIC_SERVICE = "public_service"
SPLIT = (Tier(20_000_000, "0.5"), Tier(None, "0.6"))  # public side 5:5 up to 200 000 yuan, 6:4 above (parameters §6)


def ingest(stage: Stage, enterprise_files: tuple[Path, ...], people_files: tuple[Path, ...]) -> None:
    """Step 1: the bureau's files become versions 1 and 2 of one resource; the columns are graded, the uses set."""
    site, supplier = stage.site, stage.people["supplier"]
    resource = catalog.create_resource(
        site, supplier, name="enterprise", title="企业登记信息", summary="市场主体登记的基本信息，按月更新。",
        theme="B0000", update_cycle="004", legal_basis="《市场主体登记管理条例》",
    )  # fmt: skip
    first = catalog.ingest(site, supplier, resource.id, enterprise_files[:1])
    version = catalog.ingest(site, supplier, resource.id, enterprise_files)
    stage.check("rows in = kept + quarantined", holds=version.rows_in == version.rows_kept + version.rows_quarantined)
    stage.check("version 1 stays readable", holds=bool(catalog.version_files(site, first)))
    _grade(stage, version)
    policy = supplier_policy(version.manifest.columns)
    stage.must_refuse(
        1, "a use wider than the grade's default, unconfirmed", "use-wider-unconfirmed",
        lambda: catalog.set_uses(site, supplier, resource.id, policy, frozenset()),
    )  # fmt: skip
    resource = catalog.set_uses(site, supplier, resource.id, policy, frozenset({"注册日期"}))
    stage.made.update(resource=resource, version=version)
    stage.tell(
        1, "ingest",
        f"{version.rows_in} 行入库：保留 {version.rows_kept}，隔离 {version.rows_quarantined}"
        f"  ({version.rows_in} rows in: {version.rows_kept} kept, {version.rows_quarantined} quarantined)",
        resource=resource.id, version=version.number, manifest_digest=version.manifest_digest,
        rows_in=version.rows_in, rows_kept=version.rows_kept, rows_quarantined=version.rows_quarantined,
        quarantine={count.code: count.lines for count in version.quarantine},
    )  # fmt: skip
    if people_files:
        _ingest_people(stage, people_files)


def _grade(stage: Stage, version: ResourceVersion) -> None:
    """Confirm every proposal as it stands."""
    grades = tuple(ColumnGrade(p.column, p.meaning, p.grade) for p in version.proposals)
    catalog.confirm_classification(stage.site, stage.people["supplier"], version.resource, grades)


def _ingest_people(stage: Stage, files: tuple[Path, ...]) -> None:
    """A second supplier's resource waits for its classification: something to do by hand in the console."""
    supplier = stage.people["supplier-social"]
    resource = catalog.create_resource(
        stage.site, supplier, name="insured_person", title="社会保险参保信息", summary="参保人员及缴费基数，按月更新。",
        theme="C0000", update_cycle="004", legal_basis="《社会保险法》",
    )  # fmt: skip
    version = catalog.ingest(stage.site, supplier, resource.id, files)
    stage.tell(1, "ingest", f"{version.rows_in} 行参保信息  ({version.rows_in} rows of insured people)",
               people_rows_in=version.rows_in, people_rows_kept=version.rows_kept,
               people_rows_quarantined=version.rows_quarantined)  # fmt: skip


def register(stage: Stage) -> None:
    """Step 2: accept → formal review → publicity → code (26号 art.10–15), the demo clock moving on."""
    site, supplier, registrar = stage.site, stage.people["supplier"], stage.people["registrar"]
    resource, version = stage.made["resource"], stage.made["version"]
    filed = registry.submit(
        site, supplier, resource_id=resource.id, version_number=version.number, title=resource.title,
        summary=resource.summary, materials=MATERIALS,
    )  # fmt: skip
    accepted = registry.accept(site, registrar, filed.id)
    stage.move_to(stage.today() + timedelta(days=2))
    public = registry.pass_review(site, registrar, filed.id)
    stage.must_refuse(
        2, "a code before the publicity has ended", "publicity-running",
        lambda: registry.assign_code(site, registrar, filed.id),
    )  # fmt: skip
    ends = public.publicity_ends
    if ends is None:
        raise ValueError("a registration in publicity has an end")
    stage.move_past(ends)
    coded = registry.assign_code(site, registrar, filed.id)
    stage.made["registration"] = coded
    stage.tell(
        2, "register", f"登记赋码 {coded.code}，有效期至 {coded.valid_until}  (coded, valid until {coded.valid_until})",
        registration=coded.id, code=coded.code, accept_due=str(filed.due), review_due=str(accepted.due),
        publicity_ends=str(ends), valid_until=str(coded.valid_until),
    )  # fmt: skip


def _terms(stage: Stage, *, years: int, purposes: tuple[str, ...]) -> GrantTerms:
    start = stage.today()
    registration = stage.made["registration"]
    return GrantTerms(
        agency=stage.people["agency"].party, operator=stage.people["operator"].party, mode=Mode.SCENARIO,
        rights=frozenset(Right), purposes=purposes,
        period=Period(start_of_day(start), start_of_day(add_years(start, years))),
        scope=(
            ResourceScope(
                stage.made["resource"].id, stage.made["resource"].name, registration.ref,
                stage.made["resource"].supplier, scope_policy(),
            ),
        ),
        price=PriceRule(ceiling_minor=600, split=SPLIT, treasury_share="0.4"), exit_duties=EXIT_DUTIES,
    )  # fmt: skip


def authorize(stage: Stage) -> None:
    """Step 3: plan, agreement, grant (27号 art.9–14); what is against the rules is refused with the article."""
    site, agency, government = stage.site, stage.people["agency"], stage.people["government"]
    plan = grants.write_plan(
        site, agency, title="云江市企业登记数据授权运营实施方案（模拟）", mode=Mode.SCENARIO, parts=PLAN_PARTS
    )
    grants.submit_plan(site, agency, plan.id)
    decision = CollectiveDecision("市人民政府常务会议（模拟）", "云政常〔2026〕17号", "0" * 63 + "1")
    own = replace(stage.people["agency-head"], roles=government.roles)
    stage.must_refuse(
        3, "an approver from the applicant's own organisation", "approver-of-applicant",
        lambda: grants.decide_plan(site, own, plan.id, approves=True, decision=decision, reason="同意"),
    )  # fmt: skip
    effective = grants.decide_plan(site, government, plan.id, approves=True, decision=decision, reason="同意")
    stage.made["plan"] = effective
    _refused_agreements(stage)
    main = _agree(stage, _terms(stage, years=3, purposes=(INCLUSIVE_FINANCE,)))
    pilot = _agree(stage, _terms(stage, years=1, purposes=(PUBLIC_SERVICE,)))
    stage.made.update(grant=main, pilot_grant=pilot)
    stage.tell(
        3, "authorize", f"授权生效 {main.id}，期限三年；试点授权 {pilot.id}，期限一年"
        f"  (granted for three years; a pilot for one)",
        plan=plan.id, agreement=main.agreement.id, grant=main.id, pilot_grant=pilot.id,
    )  # fmt: skip


def _refused_agreements(stage: Stage) -> None:
    site, agency, plan = stage.site, stage.people["agency"], stage.made["plan"]

    def propose(terms: GrantTerms, parts: tuple[Part, ...] = AGREEMENT_PARTS) -> Agreement:
        return grants.propose_agreement(
            site, agency, plan_id=plan.id, selection=SelectionMethod.OPEN_TENDER, terms=terms, parts=parts
        )

    good = _terms(stage, years=3, purposes=(INCLUSIVE_FINANCE,))
    six = _terms(stage, years=6, purposes=(INCLUSIVE_FINANCE,))
    scope = good.scope[0]
    column = scope.policy.of(NAME)
    wider = replace(column, uses=column.uses | {Use.REVEAL})
    others = tuple(c for c in scope.policy.columns if c.column != NAME)
    wide = replace(good, scope=(replace(scope, policy=replace(scope.policy, columns=(*others, wider))),))
    stage.must_refuse(3, "a term of 6 years", "term-too-long", lambda: propose(six))
    stage.must_refuse(3, "no mode of authorization", "mode-missing", lambda: propose(replace(good, mode=None)))
    stage.must_refuse(3, "a mandatory part is missing", "part-missing", lambda: propose(good, AGREEMENT_PARTS[1:]))
    stage.must_refuse(3, "a use the supplier does not allow", "scope-wider", lambda: propose(wide))


def _agree(stage: Stage, terms: GrantTerms) -> Grant:
    site, agency, head = stage.site, stage.people["agency"], stage.people["agency-head"]
    proposed = grants.propose_agreement(
        site, agency, plan_id=stage.made["plan"].id, selection=SelectionMethod.OPEN_TENDER, terms=terms,
        parts=AGREEMENT_PARTS,
    )  # fmt: skip
    decision = CollectiveDecision("市数据局局务会（模拟）", "云数局〔2026〕8号", "0" * 63 + "2")
    grants.sign_agreement(site, head, proposed.id, decision)
    grants.sign_agreement(site, stage.people["operator-head"], proposed.id)
    return grants.issue_grant(site, agency, proposed.id)


def read_known(files: tuple[Path, ...], count: int) -> list[dict[str, str]]:
    """Return rows of the files as the bank would know its own clients: enterprises it has papers of."""
    known: list[dict[str, str]] = []
    for path in files:
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("gb18030", "replace")
        for row in csv.DictReader(text.replace("\0", "").splitlines()):
            code, name = row.get("统一社会信用代码") or "", row.get(NAME) or ""
            if len(code) == 18 and name and None not in row and row.get("法人代表"):
                known.append(row)
            if len(known) == count:
                return known
    return known
