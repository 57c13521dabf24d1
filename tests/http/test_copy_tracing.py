"""Whose copy is this? Asked by the operator over HTTP and on the command line, of files that were mangled on their way."""

import csv
import io
import json
import random
from pathlib import Path

import openpyxl
import pytest
from starlette.testclient import TestClient

from gongshu.base.decisions import Refused
from gongshu.delivery import cli
from gongshu.delivery import service as delivery
from gongshu.egress import service as egress
from gongshu.egress.types import CopyFormat, ReviewKind
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Person
from gongshu.products import service as products
from gongshu.server.asgi import create_app
from tests import samples, world
from tests.world import BANK, OPERATOR

BUYERS = 10
SEED = 20261121
ROWS = "SELECT 'region ' || (i % 12) AS region, 1000 + i * 7 AS enterprises, 20.5 + i AS capital FROM range(300) t(i)"
FEW = "SELECT 'region ' || i AS region, 1000 + i * 7 AS enterprises FROM range(24) t(i)"


def offer(site, query, number=1, buyers=3):
    """Release a table, list it, and conclude contracts for it."""
    job = world.run_job(site, query, number=number)
    output = egress.submit_for_review(
        site, world.DEVELOPER, egress.collect(site, job.id).id, "按区域统计，供普惠金融使用"
    )
    world.cast(site, output, world.SECURITY, ReviewKind.SECURITY)
    world.cast(site, output, world.CONFORMITY, ReviewKind.CONFORMITY)
    release = egress.release(site, OPERATOR, output.id)
    product = products.define_product(site, OPERATOR, release_id=release.id, title="企业分布", summary="按区域统计")
    listing = products.list_product(site, OPERATOR, product.id, tiers=samples.listing().tiers, charges_no_record=False)
    return product, [world.contracted(site, listing) for _ in range(buyers)]


@pytest.fixture
def offered(sqlite_site):
    world.settle(sqlite_site)
    return offer(sqlite_site, ROWS)


def copy_of(site, product, contract, kind: CopyFormat) -> Path:
    """Write a buyer's copy, as its gateway does."""
    source = site.home / "releases" / product.release_id / product.artifact_name
    target = site.home / f"{contract.id}.{kind}"
    egress.write_copy(source, target, kind, egress.copy_mark(site.keys, product.artifact_sha256, contract.id))
    return target


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text())))


def save(path: Path, rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_ten_buyers_thirty_percent_dropped_and_saved_again_each_names_its_contract(sqlite_site):
    world.settle(sqlite_site)
    product, contracts = offer(sqlite_site, ROWS, buyers=BUYERS)
    draw = random.Random(SEED)
    for contract in contracts:
        head, *rows = rows_of(copy_of(sqlite_site, product, contract, CopyFormat.CSV))
        leaked = save(sqlite_site.home / "leaked.csv", [head, *(row for row in rows if draw.random() > 0.3)])
        found = delivery.trace_copy(sqlite_site, OPERATOR, leaked)
        assert found.named is not None, f"seed {SEED}"
        assert found.named.contract == contract.id
        assert found.named.log10_probability < -20
        assert all(other.log10_probability > -6 for other in found.evidence[1:])


def test_a_copy_sorted_by_a_column_still_has_its_order_within_equal_values(sqlite_site, offered):
    product, contracts = offered
    head, *rows = rows_of(copy_of(sqlite_site, product, contracts[0], CopyFormat.CSV))
    leaked = save(sqlite_site.home / "sorted.csv", [head, *sorted(rows, key=lambda row: row[0])])
    found = delivery.trace_copy(sqlite_site, OPERATOR, leaked)
    assert found.named is not None
    assert (found.named.contract, found.named.column) == (contracts[0].id, "region")


def test_a_copy_whose_rows_were_all_shuffled_names_nobody(sqlite_site, offered):
    product, contracts = offered
    head, *rows = rows_of(copy_of(sqlite_site, product, contracts[0], CopyFormat.CSV))
    random.Random(SEED).shuffle(rows)
    found = delivery.trace_copy(sqlite_site, OPERATOR, save(sqlite_site.home / "leaked.csv", [head, *rows]))
    assert found.named is None, f"seed {SEED}"


def test_two_copies_put_together_name_the_one_that_most_is_of(sqlite_site, offered):
    product, contracts = offered
    head, *first = rows_of(copy_of(sqlite_site, product, contracts[0], CopyFormat.CSV))
    _, *second = rows_of(copy_of(sqlite_site, product, contracts[1], CopyFormat.CSV))
    seen = {row[1] for row in first[:200]}
    mixed = [*first[:200], *(row for row in second if row[1] not in seen)]
    found = delivery.trace_copy(sqlite_site, OPERATOR, save(sqlite_site.home / "leaked.csv", [head, *mixed]))
    assert found.named is not None
    assert found.named.contract == contracts[0].id


def test_a_small_table_names_its_buyer_too(sqlite_site, offered):
    product, contracts = offer(sqlite_site, FEW, number=2)
    head, *rows = rows_of(copy_of(sqlite_site, product, contracts[2], CopyFormat.CSV))
    kept = [row for place, row in enumerate(rows) if place % 3]
    found = delivery.trace_copy(sqlite_site, OPERATOR, save(sqlite_site.home / "leaked.csv", [head, *kept]))
    assert (found.product, len(kept), found.named and found.named.contract) == (product.id, 16, contracts[2].id)


@pytest.mark.parametrize("kind", [CopyFormat.PARQUET, CopyFormat.EXCEL])
def test_an_untouched_file_is_described_and_signed_and_a_forged_description_is_not_believed(sqlite_site, offered, kind):
    product, contracts = offered
    path = copy_of(sqlite_site, product, contracts[2], kind)
    found = delivery.trace_copy(sqlite_site, OPERATOR, path)
    assert found.named is not None
    assert (found.named.contract, found.named.is_described) == (contracts[2].id, True)
    if kind is CopyFormat.EXCEL:
        book = openpyxl.load_workbook(path)
        for one in book.custom_doc_props.props:
            if one.name == "gongshu_contract":
                one.value = contracts[1].id
            if one.name == "gongshu_signature":
                one.value = "0" * 64
        book.save(path)  # re-saved by another program, blaming another buyer
        again = delivery.trace_copy(sqlite_site, OPERATOR, path)
        assert again.named is not None
        assert again.named.contract == contracts[2].id
        assert not any(one.is_described for one in again.evidence)


def test_a_buyer_is_named_among_those_of_two_products_of_one_release(sqlite_site, offered):
    product, contracts = offered
    second = products.define_product(
        sqlite_site, OPERATOR, release_id=product.release_id, title="另一个", summary="同一出域结果"
    )
    listing = products.list_product(
        sqlite_site, OPERATOR, second.id, tiers=samples.listing().tiers, charges_no_record=False
    )
    contract = world.contracted(sqlite_site, listing)
    found = delivery.trace_copy(sqlite_site, OPERATOR, copy_of(sqlite_site, second, contract, CopyFormat.CSV))
    assert found.named is not None
    assert (found.product, found.named.contract) == (second.id, contract.id)
    assert {one.contract for one in found.evidence} == {contract.id, *(other.id for other in contracts)}


def test_a_file_of_somebody_else_and_what_is_no_table_are_refused(sqlite_site, offered):
    other = save(sqlite_site.home / "other.csv", [["a", "b"], *([f"x{n}", f"y{n}"] for n in range(50))])
    broken = sqlite_site.home / "broken.parquet"
    broken.write_bytes(b"PAR1 no")
    script = sqlite_site.home / "leaked.exe"
    script.write_bytes(b"MZ")
    for path, code in ((other, "copy-unknown"), (broken, "copy-unreadable"), (script, "copy-format-unknown")):
        with pytest.raises(Refused) as refused:
            delivery.trace_copy(sqlite_site, OPERATOR, path)
        assert [reason.code for reason in refused.value.reasons] == [code]


def test_the_operator_asks_over_http_and_a_consumer_may_not(sqlite_site, offered):
    product, contracts = offered
    tokens = {}
    with sqlite_site.db.transaction() as tx:
        for actor in (BANK, OPERATOR):
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, actor.name, actor.person, actor.roles))
    for actor in (BANK, OPERATOR):
        tokens[actor] = parties.create_token(sqlite_site, actor, label="test")[0]
    path = copy_of(sqlite_site, product, contracts[1], CopyFormat.CSV)
    with TestClient(create_app(sqlite_site)) as client:

        def ask(actor):
            files = {"file": ("../../leaked.csv", path.read_bytes())}
            return client.post(
                "/api/v1/copies/trace", files=files, headers={"Authorization": f"Bearer {tokens[actor]}"}
            )

        answer = ask(OPERATOR)
        assert answer.status_code == 200, answer.text
        assert answer.json()["named"] == contracts[1].id
        assert ask(BANK).status_code == 403
    assert not list(sqlite_site.home.glob("upload-*"))


def test_the_command_line_names_the_contract_and_the_log_keeps_no_value(sqlite_site, offered, capsys):
    product, contracts = offered
    path = copy_of(sqlite_site, product, contracts[1], CopyFormat.PARQUET)
    assert cli.trace(sqlite_site, OPERATOR, path, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["named"] == contracts[1].id
    assert cli.trace(sqlite_site, OPERATOR, path, as_json=False) == 0
    assert contracts[1].id in capsys.readouterr().out
    database = b"".join(path.read_bytes() for path in sqlite_site.home.parent.glob("gongshu.db*"))
    assert b"copy.trace" in database
    assert b"region 11" not in database
