"""Look-ups: what the gate permits, what is answered, and what a thief of the file has."""

import csv
import json
from dataclasses import replace

import lmdb
import pytest
from cryptography.exceptions import InvalidTag

from gongshu.base.decisions import Refused
from gongshu.catalog.types import DataType
from gongshu.compute import service as compute
from gongshu.compute.rules import lookups, verification
from gongshu.compute.rules.synthetic import credit_code
from gongshu.compute.types import JobStatus, LookupDefinition, LookupKey, LookupOutput
from gongshu.egress import service as egress
from gongshu.egress.adapters import hashes
from gongshu.egress.rules import checks
from gongshu.metering.types import ResultCode
from gongshu.policies.types import MaskKind, Use
from tests.governed_site import DEVELOPER, ENTITLEMENT, ROWS, masked, policy, settle

KEY = LookupKey("code", "信用代码")
STATUS = LookupOutput("status", "状态")
CAPITAL = LookupOutput("capital", "注册资本", ("20", "50", "200"))
DEFINITION = LookupDefinition("enterprise", (KEY,), (STATUS, CAPITAL))
REVEALING = policy(
    columns=tuple(
        replace(c, uses=c.uses | {Use.REVEAL}) if c.column in {"注册资本", "地区", "注册日期"} else c
        for c in policy().columns
    )
)


def refused(site, definition) -> list[str]:
    with pytest.raises(Refused) as caught:
        compute.submit_lookup(site, DEVELOPER, ENTITLEMENT, "企业标签", definition)
    return [reason.code for reason in caught.value.reasons]


def made(site, definition=DEFINITION):
    job = compute.run_job(site, compute.submit_lookup(site, DEVELOPER, ENTITLEMENT, "企业标签", definition).id)
    return job, compute.output_folder(site, job)


def asked(site, definition=DEFINITION):
    job, folder = made(site, definition)
    assert job.status is JobStatus.SUCCEEDED, job.failure_code
    return compute.open_tags(folder / "lookup.lmdb", job.plan.lookup, site.keys)


def tags(answer) -> tuple[ResultCode, dict]:
    return answer[0], json.loads(answer[1])


def test_a_look_up_answers_bands_and_categories_of_the_subject_and_nothing_of_others(site):
    settle(site, REVEALING)
    ask = asked(site)
    assert tags(ask({"code": credit_code(5)})) == (ResultCode.SERVED, {"status": "存续", "capital": "<20"})
    assert tags(ask({"code": f" {credit_code(9).lower()} "})) == (
        ResultCode.SERVED,
        {"status": "注销", "capital": "<20"},
    )
    assert tags(ask({"code": credit_code(50)})) == (ResultCode.SERVED, {"status": "存续", "capital": "50–<200"})
    assert tags(ask({"code": credit_code(10**6)})) == (ResultCode.NO_RECORD, {"status": None, "capital": None})
    assert ask({"code": " "}) == (ResultCode.ERROR, b"")
    assert ask({}) == (ResultCode.ERROR, b"")


def test_found_and_not_found_have_one_length(site):
    settle(site, REVEALING)
    ask = asked(site)
    lengths = {len(ask({"code": credit_code(i)})[1]) for i in (1, 9, 50, 80, 10**6)}
    assert len(lengths) == 1


def test_a_value_that_too_few_subjects_carry_is_not_answered(site):
    settle(site, REVEALING)
    definition = replace(DEFINITION, outputs=(LookupOutput("region", "地区"),))
    ask = asked(site, definition)
    assert tags(ask({"code": credit_code(2)}))[1] == {"region": None}  # four enterprises are in that region
    assert tags(ask({"code": credit_code(6)}))[1] == {"region": "地区1"}
    job, folder = made(site, definition)
    with (folder / "distribution.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["value"] for row in rows} == {f"地区{i}" for i in range(5)}
    assert min(int(row["subjects"]) for row in rows) >= job.plan.thresholds.units_min


def test_who_steals_the_file_reads_nothing_in_it(site):
    settle(site, REVEALING)
    _, folder = made(site)
    raw = (folder / "lookup.lmdb").read_bytes()
    for text in ("存续", "注销", "50–<200", credit_code(5), "status", "信用代码"):
        assert text.encode() not in raw
    with (
        lmdb.open(str(folder / "lookup.lmdb"), subdir=False, readonly=True, lock=False) as stolen,
        stolen.begin() as tx,
    ):
        entries = {bytes(name): bytes(value) for name, value in tx.cursor()}
    records = {name: value for name, value in entries.items() if name not in {lookups.HEADER_KEY, lookups.VALUES_KEY}}
    assert len(records) == ROWS
    assert {len(value) for value in records.values()} == {lookups.record_bytes(2)}
    assert len(set(records.values())) == ROWS  # equal tags do not look equal


def test_who_has_the_files_key_too_must_still_know_whom_to_ask_about(site):
    settle(site, REVEALING)
    _, folder = made(site)
    with (
        lmdb.open(str(folder / "lookup.lmdb"), subdir=False, readonly=True, lock=False) as stolen,
        stolen.begin() as tx,
    ):
        entries = {bytes(name): bytes(value) for name, value in tx.cursor()}
    key = verification.artifact_key(site.keys.secret("lookup"), entries[lookups.HEADER_KEY][:32])
    form = lookups.subject_form([("code", DataType.TEXT)], {"code": credit_code(5)})
    assert form is not None
    own = lookups.record_name(key, form)
    assert lookups.unseal(lookups.record_key(key, form), entries[own], own)
    others = [name for name in entries if name not in {own, lookups.HEADER_KEY, lookups.VALUES_KEY}]
    for name in others[:20]:
        for tried in (key, lookups.values_key(key), lookups.record_key(key, form)):
            with pytest.raises(InvalidTag):
                lookups.unseal(tried, entries[name], name)
    with pytest.raises(InvalidTag):  # one subject's record in the place of another's
        lookups.unseal(lookups.record_key(key, form), entries[others[0]], own)


def test_the_same_plan_makes_the_same_bytes(site):
    settle(site, REVEALING)
    first, _ = made(site)
    second, _ = made(site)
    assert [file.sha256 for file in first.files] == [file.sha256 for file in second.files]
    other, _ = made(site, replace(DEFINITION, outputs=(STATUS,)))
    assert other.files[0].sha256 not in {file.sha256 for file in first.files}


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (replace(DEFINITION, outputs=()), ["lookup-output-count"]),
        (replace(DEFINITION, outputs=tuple(replace(STATUS, name=f"s{i}") for i in range(9))), ["lookup-output-count"]),
        (replace(DEFINITION, keys=()), ["lookup-key-count"]),
        (replace(DEFINITION, relation="people"), ["relation-unknown"]),
        (replace(DEFINITION, outputs=(replace(STATUS, column="x"),)), ["column-unknown"]),
        (replace(DEFINITION, outputs=(STATUS, STATUS)), ["lookup-name-repeated"]),
        (replace(DEFINITION, keys=(LookupKey("capital", "注册资本"),), outputs=(STATUS,)), ["compare-missing"]),
        (replace(DEFINITION, outputs=(LookupOutput("name", "企业名称"),)), ["lookup-reveal-missing"]),
        (
            replace(DEFINITION, outputs=(LookupOutput("code2", "信用代码"),)),
            ["lookup-reveal-missing", "lookup-output-identifies"],
        ),
        (replace(DEFINITION, outputs=(replace(CAPITAL, bounds=()),)), ["lookup-needs-bands"]),
        (replace(DEFINITION, outputs=(LookupOutput("since", "注册日期"),)), ["lookup-needs-bands"]),
        (replace(DEFINITION, outputs=(replace(CAPITAL, bounds=("50", "20")),)), ["lookup-bounds-invalid"]),
        (replace(DEFINITION, outputs=(replace(CAPITAL, bounds=("a",)),)), ["lookup-bounds-invalid"]),
        (replace(DEFINITION, outputs=(replace(STATUS, bounds=("1",)),)), ["lookup-bounds-invalid"]),
    ],
)  # fmt: skip
def test_what_is_no_tag_is_refused_by_the_gate(site, definition, expected):
    settle(site, REVEALING)
    assert refused(site, definition) == expected


def test_a_free_text_is_no_tag_even_where_it_may_be_seen(site):
    open_names = masked("企业名称", MaskKind.NAME, frozenset({Use.REVEAL, Use.COMPARE}))
    names = tuple(replace(c, mask=None) if c.column == "企业名称" else c for c in open_names.columns)
    settle(site, policy(columns=names))
    job, _ = made(site, replace(DEFINITION, outputs=(LookupOutput("name", "企业名称"),)))
    assert (job.status, job.failure_code, job.files) == (JobStatus.FAILED, "lookup-values-many", ())


def test_the_review_sees_schema_and_distribution_and_no_subject(site):
    settle(site, REVEALING)
    job, _ = made(site)
    output = egress.collect(site, job.id)
    verdicts = {(f.check, f.target): f.verdict for f in output.findings}
    assert set(verdicts.values()) == {checks.PASS}, output.findings
    assert {"keyed-hashes", "definition", "identifiers", "small-numbers"} <= {check for check, _ in verdicts}
    described = next(f for f in output.findings if f.check == "definition")
    assert described.facts == {"fields": "code → status, capital"}
    facts = next(f for f in output.findings if f.check == "keyed-hashes").facts
    assert (facts["entries"], facts["odd_keys"], facts["odd_values"]) == (str(ROWS + 2), "0", "0")


def test_a_record_that_is_no_ciphertext_is_found_by_the_machine(site):
    settle(site, REVEALING)
    job, folder = made(site)
    path = folder / "lookup.lmdb"
    path.chmod(0o600)
    with lmdb.open(str(path), subdir=False, map_size=1 << 24, lock=False) as opened, opened.begin(write=True) as tx:
        tx.put(b"9135".ljust(32, b"0"), "云江茶业有限公司".encode().ljust(lookups.record_bytes(2)))
    measure = hashes.measure_sealed(path, lookups.record_bytes(2))
    assert measure is not None
    assert (measure.odd_keys, measure.odd_values) == (1, 1)
    assert job.status is JobStatus.SUCCEEDED
