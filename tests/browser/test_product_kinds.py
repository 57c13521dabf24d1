"""Products of every kind in the browser: defined by the operator, tried by the consumer, a leaked copy traced."""

import csv
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from gongshu.base.days import Period
from gongshu.base.site import Site
from gongshu.delivery import service as delivery
from gongshu.egress import service as egress
from gongshu.egress.types import ReviewKind
from gongshu.parties import store as parties_store
from gongshu.parties.types import Person
from gongshu.products import service as products
from gongshu.products.types import ListingStatus
from gongshu.server.cli import open_site
from gongshu.server.settings import Settings
from tests import samples, world
from tests.browser.visitors import ENGLISH, NARROW, Platform, run_platform

ROWS = "SELECT '2026-' || lpad(CAST(1 + i AS VARCHAR), 2, '0') AS month, '地区' || j AS region, 100 + i * 3 + j AS value FROM range(12) t(i), range(3) u(j)"


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> Iterator[Platform]:
    """A platform with one release of a table, and people of operator and bank."""
    home = tmp_path_factory.mktemp("kinds") / "var"
    site = open_site(Settings(home, "", "127.0.0.1", 0, 0), is_demo=True)
    with pytest.MonkeyPatch.context() as patch:  # the processes have the real clock
        patch.setattr(samples, "YEAR", Period(site.now() - timedelta(days=30), site.now() + timedelta(days=300)))
        world.settle(site)
    people = ((world.OPERATOR, "operator"), (world.BANK, "bank"))
    with site.db.transaction() as tx:
        for actor, login in people:
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, actor.name, login, actor.roles))
    job = world.run_job(site, ROWS)
    output = egress.submit_for_review(
        site, world.DEVELOPER, egress.collect(site, job.id).id, "按区域统计，供普惠金融使用"
    )
    world.cast(site, output, world.SECURITY, ReviewKind.SECURITY)
    world.cast(site, output, world.CONFORMITY, ReviewKind.CONFORMITY)
    egress.release(site, world.OPERATOR, output.id)
    site.db.close()
    yield from run_platform(home)


@pytest.fixture
def site(platform: Platform) -> Iterator[Site]:
    """Give the platform's site, for what other tests do by hand."""
    made = open_site(Settings(platform.home, "", "127.0.0.1", 0, 0), is_demo=True)
    yield made
    made.db.close()


def define(visitor, kind: str, title: str, **fields: str) -> str:
    """Define a product of the release in the form; return its path."""
    visitor.goes_to("/releases")
    visitor.page.locator("main table a").first.click()
    page = visitor.page
    page.locator("#f-kind").select_option(kind)
    if fields:
        page.locator(f"[name={next(iter(fields))}]").wait_for()
    visitor.fills(title=title, summary=f"{title}，按月")
    for name, value in fields.items():
        found = page.locator(f"[name='{name}']")
        found.select_option(value) if found.first.evaluate("e => e.tagName") == "SELECT" else found.fill(value)
    page.get_by_role("button", name="定义产品").click()
    page.wait_for_url("**/products/product-*")
    return page.url.removeprefix(visitor.platform.address)


def buy(site: Site, path: str):
    """List the product and let the bank have a contract and a key."""
    product_id = path.rpartition("/")[2]
    listing = products.list_product(
        site, world.OPERATOR, product_id, tiers=samples.listing().tiers, charges_no_record=False
    )
    assert listing.status is ListingStatus.LISTED
    contract = world.contracted(site, listing)
    secret, _ = delivery.create_key(site, world.BANK, contract.id)
    delivery.publish_snapshot(site)
    return contract, secret


def opens_call(visitor, contract, secret: str) -> None:
    visitor.goes_to(f"/contracts/{contract.id}")
    visitor.page.locator("#f-key").fill(secret)


def test_the_operator_defines_a_query_and_the_bank_asks_it(visit, platform, site):
    operator = visit("operator")
    path = define(
        operator, "query", "分地区查询", statement="SELECT month, value FROM released WHERE region = $region ORDER BY month",
        parameters="region: text(20) = 地区1",
    )  # fmt: skip
    operator.sees("SELECT month, value FROM released")
    operator.shows("product-query-zh")
    contract, secret = buy(site, path)
    bank = visit("bank")
    opens_call(bank, contract, secret)
    bank.page.locator("[name='field-region']").fill("地区2")
    bank.page.get_by_role("button", name="调用").click()
    expect(bank.page.locator("#answer")).to_contain_text("2026-12")
    bank.shows("answer-query-zh")


def test_a_statement_that_reads_elsewhere_is_refused_in_words(visit):
    operator = visit("operator")
    operator.goes_to("/releases")
    operator.page.locator("main table a").first.click()
    operator.page.locator("#f-kind").select_option("query")
    operator.page.locator("[name=statement]").fill("SELECT * FROM read_csv('/etc/passwd')")
    operator.fills(title="坏查询", summary="坏")
    operator.page.get_by_role("button", name="定义产品").click()
    operator.is_refused("construct-refused")


def test_an_index_is_drawn_for_its_operator_and_for_who_asks(visit, site):
    operator = visit("operator")
    path = define(
        operator, "index", "月度指数", period="month", value="value", dimension="region", frequency="month", unit="2026-01=100",
        base="2026-01",
    )  # fmt: skip
    expect(operator.page.locator(".chart svg")).to_be_visible()
    operator.shows("product-index-zh")
    contract, secret = buy(site, path)
    bank = visit("bank")
    opens_call(bank, contract, secret)
    bank.page.locator("[name='field-from']").fill("2026-06")
    bank.page.get_by_role("button", name="调用").click()
    expect(bank.page.locator("#answer .chart svg")).to_be_visible()
    bank.shows("answer-index-zh")


def test_a_package_is_downloaded_and_its_leaked_copy_names_the_bank(visit, site, tmp_path):
    operator = visit("operator")
    path = define(operator, "table", "企业月表")
    operator.shows("product-table-zh")
    contract, secret = buy(site, path)
    bank = visit("bank")
    opens_call(bank, contract, secret)
    with bank.page.expect_download() as waiting:
        bank.page.get_by_role("button", name="下载").click()
    leaked = tmp_path / "leaked.csv"
    waiting.value.save_as(leaked)
    rows = list(csv.reader(leaked.read_text().splitlines()))
    assert len(rows) == 37
    operator.goes_to("/copies")
    operator.page.locator("[name=file]").set_input_files(leaked)
    operator.page.get_by_role("button", name="比对").click()
    operator.sees("属于一份合约的副本")
    expect(operator.page.locator(f"main a[href='/contracts/{contract.id}']").first).to_be_visible()
    operator.shows("copies-zh")
    narrow = visit("operator", locale=ENGLISH, width=NARROW)
    narrow.goes_to("/copies")
    narrow.sees("Whose copy is this?")
    narrow.shows("copies-en-narrow")


def test_a_report_is_written_and_fetched_as_pdf(visit, site, tmp_path):
    operator = visit("operator")
    path = define(
        operator, "report", "年度报告", report_title="年度报告", report_period="2026 年", source="市场监管部门",
        **{"heading-0": "概况", "text-0": "共 {{count}} 行，合计 {{sum:value}}。"},
    )  # fmt: skip
    operator.shows("product-report-zh")
    contract, secret = buy(site, path)
    bank = visit("bank")
    opens_call(bank, contract, secret)
    with bank.page.expect_download() as waiting:
        bank.page.get_by_role("button", name="下载").click()
    report = tmp_path / "report.pdf"
    waiting.value.save_as(report)
    assert report.read_bytes().startswith(b"%PDF")
    opens_call(bank, contract, "gsk_wrong")
    bank.page.get_by_role("button", name="下载").click()
    bank.sees("key-unknown")
