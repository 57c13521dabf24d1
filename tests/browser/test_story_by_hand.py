"""The story, by hand: each role does its step in the browser, one after the other, and is refused where it must be.

The tests stand in the order of the flow; each goes on from where the one before it left off.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from examples.city import make_city
from tests.browser.visitors import ENGLISH, Platform, Visitor

Visit = Callable[..., Visitor]
ENTERPRISES = 2_000
PEOPLE = 20
TITLE = "企业登记信息"
SQL = """SELECT 所在省份 AS province, 企业类型 AS type, count(DISTINCT 统一社会信用代码) AS enterprises
FROM enterprise GROUP BY 所在省份, 企业类型 ORDER BY enterprises DESC"""


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """What was made so far: addresses of pages, the key, a receipt."""
    return {}


def here(visitor: Visitor) -> str:
    """Return the path of the page a visitor is on."""
    return visitor.page.url.removeprefix(visitor.platform.address)


def test_supplier_ingests_grades_and_files(visit: Visit, made: dict[str, Any], tmp_path: Path) -> None:
    city = make_city(tmp_path, enterprises=ENTERPRISES, people=PEOPLE)
    known = city.enterprise_files[0].read_text("utf-8", "replace").splitlines()[1].split(",")
    made["client"] = {"credit_code": known[1], "name": known[0]}
    supplier = visit("supplier")
    supplier.sees("暂无待办")
    supplier.does("新建资源")
    supplier.fills(
        title=TITLE, name="enterprise", summary="市场主体登记的基本信息。", legal_basis="《市场主体登记管理条例》"
    )
    supplier.does("保存资源描述")
    supplier.is_told("资源已建立")
    made["resource"] = here(supplier)
    supplier.page.set_input_files("#f-files", [str(path) for path in city.enterprise_files])
    supplier.does("上传并入库")
    supplier.page.wait_for_url("**/versions/1")
    total, kept, held = (int(part.replace(",", "")) for part in supplier.page.locator(".rows-sum b").all_inner_texts())
    assert total == kept + held
    assert total >= ENTERPRISES
    assert held > 0
    expect(supplier.page.locator("[data-chart] svg")).to_be_visible()
    supplier.shows("02-version")
    supplier.does("逐行查看")
    expect(supplier.page.locator("tbody tr")).to_have_count(held)
    supplier.shows("02-quarantine")
    supplier.goes_to(f"{made['resource']}/classify")
    supplier.sees("校验码正确")
    supplier.shows("02-classify")
    supplier.does("确认全部分级")
    supplier.is_told("分级已确认")
    boxes = supplier.page.locator
    boxes('[name="uses-企业名称"][value="reveal"]').check()
    supplier.does("保存用途")
    supplier.is_refused("use-wider-unconfirmed")
    supplier.shows("02-uses-refused")
    boxes('[name="uses-企业名称"][value="reveal"]').uncheck()
    supplier.does("保存用途")
    supplier.is_told("用途已设定")
    supplier.shows("02-resource")
    supplier.does("登记资源")
    supplier.does("提交登记申请")
    supplier.is_told("登记申请已提交")
    made["registration"] = here(supplier)


def test_registrar_takes_it_through_review_and_publicity(visit: Visit, made: dict[str, Any]) -> None:
    registrar = visit("registrar")
    registrar.sees("受理或退回")
    registrar.shows("03-registrar-home")
    registrar.goes_to(made["registration"])
    registrar.does("受理")
    registrar.is_told("已受理")
    registrar.sees("期限 ")
    registrar.does("通过形式审核")
    registrar.is_told("进入公示")
    registrar.does("赋码")
    registrar.is_refused("publicity-running")
    registrar.shows("03-registration-refused")


def test_anybody_sees_the_publicity_and_verifies_the_code(visit: Visit, made: dict[str, Any]) -> None:
    stranger = visit()
    stranger.goes_to("/portal")
    stranger.sees(TITLE)
    stranger.shows("04-portal")
    administrator = visit("admin")
    administrator.goes_to("/clock")
    administrator.fills(days="30")
    administrator.does("前拨")
    administrator.is_told("时钟已前拨")
    administrator.shows("04-clock")
    registrar = visit("registrar")
    registrar.sees("赋码")
    registrar.goes_to(made["registration"])
    registrar.does("赋码")
    registrar.is_told("已赋码")
    registrar.shows("04-registration")
    code = registrar.page.locator("code.id.fs-4").inner_text()
    stranger.goes_to("/portal/verify")
    stranger.fills(code=code)
    stranger.does("验真")
    stranger.sees("该编码有效期至")
    stranger.shows("04-verify")
    stranger.fills(code="0" * len(code))
    stranger.does("验真")
    stranger.sees("没有与该编码对应的有效登记")


def test_agency_writes_a_plan_and_the_government_decides(visit: Visit, made: dict[str, Any], tmp_path: Path) -> None:
    agency = visit("agency")
    agency.does("编制方案")
    agency.fills(**{"part-P08": ""})
    agency.shows("05-plan-form")
    agency.does("保存草稿")
    agency.is_told("草稿已保存")
    made["plan"] = here(agency)
    agency.does("提交方案")
    agency.is_refused("part-missing")
    agency.does("修改")
    agency.fills(**{"part-P08": "成本和收入单独核算。"})
    agency.does("保存草稿")
    agency.does("提交方案")
    agency.is_told("方案已提交")
    government = visit("government")
    government.sees("审定实施方案")
    government.goes_to(made["plan"])
    government.does("通过")
    government.is_refused("plan-decision-missing")
    minutes = tmp_path / "minutes.txt"
    minutes.write_text("市人民政府常务会议纪要", "utf-8")
    government.fills(record_number="云政常〔2026〕17号")
    government.page.set_input_files("#f-minutes", str(minutes))
    expect(government.page.locator("#f-minutes_digest")).to_have_value(re.compile("[0-9a-f]{64}"))
    government.shows("05-plan-decide")
    government.does("通过")
    government.is_told("方案已生效")


def test_agreement_is_signed_by_both_and_becomes_the_grant(visit: Visit, made: dict[str, Any]) -> None:
    agency = visit("agency")
    agency.goes_to(made["plan"])
    agency.does("拟订协议")
    last = agency.page.locator('[name="last_day"]')
    year = int(last.input_value()[:4])
    good = last.input_value()
    last.fill(f"{year + 3}{good[4:]}")
    agency.fills(ceiling="6.00")
    agency.does("提出协议")
    agency.is_refused("term-too-long")
    expect(agency.page.locator(".reasons .law").first).to_contain_text("27号")
    agency.shows("06-agreement-refused")
    last.fill(good)
    agency.does("提出协议")
    agency.is_told("协议已提出")
    made["agreement"] = here(agency)
    agency.fills(record_number="云数局〔2026〕8号", minutes_digest="0" * 63 + "2")
    agency.does("实施机构签署")
    agency.is_told("您方已签署协议")
    operator = visit("operator")
    operator.sees("签署协议")
    operator.goes_to(made["agreement"])
    operator.does("运营机构签署")
    operator.is_told("您方已签署协议")
    agency.goes_to(made["agreement"])
    agency.does("颁发授权")
    agency.is_told("授权已生效")
    agency.shows("06-grant")
    made["grant"] = here(agency)


def test_scenario_is_applied_for_scored_blindly_and_approved(visit: Visit, made: dict[str, Any]) -> None:
    operator = visit("operator")
    operator.goes_to(made["grant"])
    operator.does("申请场景")
    operator.fills(title="普惠金融：企业信息核验")
    for box in operator.page.locator(".matrix-choice input[type=checkbox]").all():
        box.check()
    for why in operator.page.locator('.matrix-choice input[name^="why-"]').all():
        why.fill("核验与统计所必需")
    operator.shows("07-apply")
    operator.does("提交申请")
    operator.is_told("申请已提交")
    made["scenario"] = here(operator)
    agency = visit("agency")
    for number in (1, 2, 3):
        assessor = visit(f"assessor-{number}")
        assessor.sees("场景评分")
        assessor.goes_to(made["scenario"])
        for field in assessor.page.locator('[name^="points-"]').all():
            field.fill(field.get_attribute("max") or "0")
        for field in assessor.page.locator('[name^="reason-"]').all():
            field.fill("符合要求")
        if number == 1:
            assessor.shows("07-score")
        assessor.does("提交评分")
        assessor.is_told("评分已提交")
    agency.goes_to(made["scenario"])
    expect(agency.page.locator("[data-chart] svg")).to_be_visible()
    agency.fills(reason="必要、最小、可控")
    agency.shows("07-decide")
    agency.does("通过")
    agency.is_told("已批准")
    made["entitlement"] = here(agency)


def test_developer_is_told_why_while_writing_and_submits(visit: Visit, made: dict[str, Any]) -> None:
    developer = visit("developer")
    developer.goes_to(made["entitlement"])
    developer.shows("08-entitlement")
    developer.does("编写 SQL")
    editor = developer.page.locator("#f-sql")
    editor.fill("SELECT 企业名称 FROM enterprise")
    developer.is_refused("reveal-missing")
    developer.shows("08-sql-refused")
    editor.fill("SELECT count(*) AS n FROM enterprise WHERE 企业名称 = 'x'")
    developer.is_refused("filter-missing")
    editor.fill(SQL)
    expect(developer.page.locator('#explained [data-verdict="permitted"]')).to_be_visible()
    developer.does("在合成数据上试运行")
    developer.sees("合成数据上的结果")
    developer.shows("08-sql")
    developer.fills(title="企业类型分布")
    developer.does("正式提交")
    developer.is_told("已提交")
    made["table_job"] = here(developer)
    developer.goes_to(f"{made['entitlement']}/verification")
    developer.fills(
        **{
            "title": "企业信息核验",
            "field-统一社会信用代码": "credit_code",
            "field-企业名称": "name",
            "field-法人代表": "legal_representative",
        }
    )
    developer.page.check('[name="key"][value="统一社会信用代码"]')
    developer.page.check('[name="required-企业名称"]')
    developer.shows("08-verification")
    developer.does("正式提交")
    developer.is_told("已提交")
    made["job"] = here(developer)
    for job in ("table_job", "job"):
        developer.goes_to(made[job])
        developer.page.get_by_role("link", name="查看结果").wait_for()
        developer.shows(f"08-{job}")
        developer.does("查看结果")
        made[f"{job}_output"] = here(developer)
        developer.fills(context="按获批用途制作")
        developer.does("提交审核")
        developer.is_told("等待两名独立审核员")


def test_developer_tries_a_program_on_synthetic_rows(visit: Visit, made: dict[str, Any]) -> None:
    developer = visit("developer")
    developer.goes_to(made["entitlement"])
    developer.does("编写 Python")
    expect(developer.page.locator("#f-code")).to_have_value(re.compile("from gongshu import job"))
    developer.does("在合成数据上试运行")
    developer.sees("合成数据上的结果")
    developer.sees("result.parquet")
    developer.shows("08-python")
    developer.page.locator("#f-code").fill("print(1 / 0)")
    developer.does("在合成数据上试运行")
    developer.sees("ZeroDivisionError")
    developer.fills(title="程序", outputs="../escape.parquet")
    developer.does("正式提交")
    developer.is_refused("program-output-invalid")
    developer.shows("08-python-refused")


def test_two_reviewers_vote_and_the_operator_releases(visit: Visit, made: dict[str, Any]) -> None:
    reviewer, other = visit("reviewer-security"), visit("reviewer-conformity")
    reviewer.sees("审核结果")
    operator = visit("operator")
    for output in (made["table_job_output"], made["job_output"]):
        reviewer.goes_to(output)
        if output == made["table_job_output"]:
            reviewer.does("查看数据行")
            expect(reviewer.page.locator("#rows tbody tr").first).to_be_visible()
            reviewer.shows("09-output")
        reviewer.page.locator("label", has_text="安全审核").first.click()
        reviewer.fills(reason="未见可识别个人或企业的内容")
        reviewer.does("通过")
        reviewer.is_told("审核已记录")
        other.goes_to(output)
        expect(other.page.get_by_text("未见可识别个人或企业的内容")).to_have_count(0)  # blind until both are in
        other.page.locator("label", has_text="业务规范性审核").first.click()
        other.fills(reason="符合获批用途")
        other.does("通过")
        other.is_told("审核已记录")
        operator.goes_to(output)
        operator.does("放行（逐字节一致）")
        operator.is_told("已放行")
    operator.shows("09-release")
    made["release"] = here(operator)


def test_product_is_listed_ordered_and_contracted(visit: Visit, made: dict[str, Any]) -> None:
    operator, bank = visit("operator"), visit("bank")
    operator.goes_to(made["release"])
    operator.fills(title="企业信息核验", summary="返回一致、不一致或无记录。")
    operator.does("定义产品")
    operator.is_told("产品已定义")
    made["product"] = here(operator)
    operator.fills(**{"rate-0": "6.01"})
    operator.does("上架")
    operator.is_refused("listing-above-ceiling")
    operator.fills(**{"up-to-0": "500", "rate-0": "5.00", "rate-1": "4.00"})
    operator.shows("10-product")
    operator.does("上架")
    operator.is_told("产品已上架")
    bank.goes_to("/")
    bank.sees("查看产品")
    bank.goes_to("/market")
    bank.shows("10-market")
    bank.does("企业信息核验")
    bank.shows("10-listing")
    bank.does("提交订单")
    bank.is_told("订单已提交")
    operator.goes_to(here(bank))
    operator.does("拟订合约")
    operator.is_told("合约已拟订")
    made["contract"] = here(operator)
    operator.does("签署合约")
    operator.is_told("您方已签署合约")
    bank.goes_to(made["contract"])
    bank.does("签署合约")
    bank.is_told("您方已签署合约")


def test_bank_gets_a_key_once_and_calls_the_gateway(visit: Visit, made: dict[str, Any], platform: Platform) -> None:
    bank = visit("bank")
    bank.goes_to(made["contract"])
    bank.does("创建密钥")
    secret = bank.page.locator("#secret").input_value()
    bank.shows("11-key")
    made["key"] = secret
    platform.wait_for(f"http://127.0.0.1:{platform.gateway_port}/healthz", "gateway")
    bank.does("已妥善保存，返回合约")
    expect(bank.page.get_by_text(secret)).to_have_count(0)
    answer = bank.page.locator("#answer")

    def call(name: str, purpose: str = "inclusive_finance") -> None:
        client = made["client"]
        bank.fills(
            **{"key": secret, "field-credit_code": client["credit_code"], "field-name": name, "purpose": purpose}
        )
        bank.does("调用")

    call(made["client"]["name"])
    expect(answer).to_contain_text("一致")
    expect(answer).to_contain_text("回执")
    bank.shows("11-call")
    made["call"] = answer.locator("[data-copy]").first.get_attribute("data-copy")
    call("另一家企业")
    expect(answer).to_contain_text("不一致")
    call(made["client"]["name"], "advertising")
    expect(answer).to_contain_text("purpose-not-agreed")


def test_operator_draws_up_the_statement_and_all_read_it(
    visit: Visit, made: dict[str, Any], platform: Platform
) -> None:
    platform.stop("gateway")  # seals what it has recorded, as the end of a month does
    platform.start("gateway")
    operator = visit("operator")
    operator.goes_to(made["contract"])
    operator.page.locator("text=依据封存记录").wait_for()
    month = operator.page.locator('[name="month"]').input_value()
    administrator = visit("admin")
    administrator.goes_to("/clock")
    administrator.fills(days="32")
    administrator.does("前拨")
    administrator.is_told("时钟已前拨")
    operator = visit("operator")  # the session of the old day has ended
    operator.goes_to(made["contract"])
    operator.fills(month=month)
    operator.does("出具账单")
    operator.is_told("账单已依据封存记录出具")
    expect(operator.page.locator("[data-chart] svg")).to_be_visible()
    shares = operator.page.locator("tbody td b").all_inner_texts()
    fen = [int(share.lstrip("¥").replace(",", "").replace(".", "")) for share in shares]
    assert sum(fen) == 1000  # two charged calls at 5.00
    operator.shows("12-statement")
    made["statement"] = here(operator)
    for login in ("bank", "supplier"):
        reader = visit(login)
        reader.goes_to(made["statement"])
        reader.sees("¥10.00")


def test_auditor_walks_from_the_receipt_to_the_source_and_verifies_the_log(visit: Visit, made: dict[str, Any]) -> None:
    auditor = visit("auditor")
    auditor.goes_to("/lifelines")
    auditor.fills(wanted=made["call"])
    auditor.does("查看全程追溯图")
    picture = auditor.page.locator(".lifeline svg")
    expect(picture).to_be_visible()
    for kind in ("资源版本", "登记", "授权", "使用资格", "作业", "放行", "产品", "合约", "调用"):
        expect(picture.get_by_text(kind, exact=True).first).to_be_visible()
    auditor.shows("13-lifeline")
    auditor.goes_to(made["resource"])
    auditor.page.locator(".page-actions").get_by_role("link", name="全程追溯").click()
    auditor.sees("由此产生的调用与收入")
    auditor.sees("¥10.00")
    auditor.shows("13-lifeline-forward")
    auditor.goes_to("/audit")
    auditor.does("立即核验全部日志")
    expect(auditor.page.locator('[data-verdict="good"]')).to_be_visible()
    auditor.shows("13-log")
    auditor.page.locator("tbody a").first.click()
    with auditor.page.expect_download() as download:
        auditor.does("下载存证证明")
    assert download.value.suggested_filename.endswith(".tlog-proof")
    auditor.shows("13-entry")


def test_agency_ends_the_grant_and_everything_under_it_stops(visit: Visit, made: dict[str, Any]) -> None:
    agency = visit("agency")
    agency.goes_to(made["grant"])
    agency.does("终止授权")
    agency.sees("将要停止的事项")
    expect(agency.page.locator(".stat-bad")).not_to_have_count(0)
    agency.shows("14-grant-end")
    agency.fills(reason="评估后终止")
    agency.does("立即终止授权")
    agency.is_told("授权已终止")
    agency.sees("退出记录")
    agency.shows("14-exit-record")
    bank = visit("bank")
    bank.goes_to(made["contract"])
    bank.sees("本合约已终止")
    bank.sees("评估后终止")
    developer = visit("developer")
    developer.goes_to(f"{made['entitlement']}/sql")
    developer.page.locator("#f-sql").fill(SQL)
    developer.is_refused("grant-not-in-force")
    developer.shows("14-developer-refused")


def test_english_pages_say_the_same_things(visit: Visit, made: dict[str, Any]) -> None:
    agency = visit("agency", locale=ENGLISH)
    agency.sees("What waits for me")
    agency.goes_to(made["grant"])
    agency.sees("Exit record: what stopped, and what must be disposed of")
    agency.shows("14-exit-record")
    developer = visit("developer", locale=ENGLISH)
    developer.goes_to(f"{made['entitlement']}/sql")
    developer.page.locator("#f-sql").fill("SELECT 1")
    developer.is_refused("grant-not-in-force")
    expect(developer.page.locator(".reason-what").first).to_contain_text("is not in force")
    auditor = visit("auditor", locale=ENGLISH)
    auditor.goes_to(f"/lifelines/call/{made['call']}")
    auditor.sees("Lifeline of a call")
    auditor.shows("13-lifeline")
