"""What holds for every page: it answers, fits the screen, works by keyboard, and speaks the visitor's language."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.visitors import CHINESE, ENGLISH, NARROW, WIDE, Visitor

Visit = Callable[..., Visitor]
LOGINS = (
    "supplier", "registrar", "government", "agency", "operator", "assessor-1", "developer", "reviewer-security", "bank",
    "auditor", "admin",
)  # fmt: skip
CHINESE_CHARACTER = re.compile(r"[\u4e00-\u9fff]")


def menu_of(visitor: Visitor) -> list[str]:
    """Return the places of the menu."""
    paths: list[str] = visitor.page.eval_on_selector_all("#menu a", "links => links.map(a => a.getAttribute('href'))")
    return paths


@pytest.mark.parametrize("login", LOGINS)
def test_every_place_of_a_role_answers_when_there_is_nothing_yet(visit: Visit, login: str) -> None:
    visitor = visit(login, width=NARROW)
    visitor.page.locator(".navbar-toggler").click()
    for path in menu_of(visitor):
        visitor.goes_to(path)
        visitor.shows(f"empty-{login}{path.replace('/', '-')}")


def test_the_door_offers_each_role_and_leads_back_to_where_one_wanted_to_go(visit: Visit) -> None:
    stranger = visit(width=WIDE)
    stranger.goes_to("/audit")
    expect(stranger.page).to_have_url(re.compile(r"/sign-in\?next=/audit$"))
    for login in LOGINS:
        expect(stranger.page.locator(f'button[name="login"][value="{login}"]')).to_be_visible()
    stranger.shows("01-sign-in")
    stranger.page.locator('button[name="login"][value="auditor"]').click()
    expect(stranger.page).to_have_url(re.compile(r"/audit$"))


def test_a_password_signs_in_and_a_wrong_one_is_refused_without_a_hint(visit: Visit) -> None:
    stranger = visit()
    stranger.goes_to("/sign-in")
    stranger.fills(login="auditor", password="not the password")
    stranger.page.locator("form[hx-post='/sign-in'] button").click()
    stranger.is_refused("sign-in-failed")
    stranger.shows("01-sign-in-refused")
    stranger.fills(login="auditor", password="Gongshu-2026")
    stranger.page.locator("form[hx-post='/sign-in'] button").click()
    stranger.page.wait_for_url(f"{stranger.platform.address}/")
    stranger.page.get_by_role("button", name="察微").click()
    stranger.does("退出登录")
    expect(stranger.page).to_have_url(re.compile(r"/sign-in$"))
    stranger.goes_to("/")
    expect(stranger.page).to_have_url(re.compile(r"/sign-in"))


def test_the_language_is_the_browsers_until_one_chooses(visit: Visit) -> None:
    chinese, english = visit(locale=CHINESE), visit(locale=ENGLISH)
    for visitor, tongue in ((chinese, "zh-CN"), (english, "en")):
        visitor.goes_to("/portal")
        expect(visitor.page.locator("html")).to_have_attribute("lang", tongue)
    english.shows("portal")
    assert not CHINESE_CHARACTER.search(english.page.locator("#menu").inner_text())
    english.page.get_by_role("button", name="中文").click()
    expect(english.page.locator("html")).to_have_attribute("lang", "zh-CN")
    english.goes_to("/market")
    expect(english.page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_a_page_can_be_used_by_keyboard_alone(visit: Visit) -> None:
    supplier = visit("supplier")
    page = supplier.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#content$"))
    supplier.goes_to("/resources/describe")
    page.locator("#f-title").focus()
    for text in ("键盘资源", "keyboard", "摘要"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("依据")
    page.keyboard.press("Enter")
    supplier.is_told("资源已建立")


def test_long_names_neither_break_nor_widen_a_page(visit: Visit) -> None:
    supplier = visit("supplier", width=NARROW)
    supplier.goes_to("/resources/describe")
    title, name = "很长的资源名称" * 20, "a_very_long_name_without_any_break_in_it"
    supplier.fills(title=title, name=name, summary="Donaudampfschifffahrtsgesellschaft" * 6, legal_basis="依据" * 60)
    supplier.does("保存资源描述")
    supplier.is_told("资源已建立")
    supplier.shows("long-resource")
    for path in ("/resources", "/"):
        supplier.goes_to(path)
        supplier.sees(title[:20])
        supplier.shows(f"long{path.replace('/', '-')}")


def test_a_refusal_takes_the_focus_and_nothing_typed_is_lost(visit: Visit) -> None:
    supplier = visit("supplier")
    supplier.goes_to("/resources/describe")
    supplier.fills(title="标题", name="Not A Name", summary="摘要", legal_basis="依据")
    supplier.does("保存资源描述")
    expect(supplier.page.locator(".reasons")).to_be_focused()
    expect(supplier.page.locator('[name="summary"]')).to_have_value("摘要")
    supplier.shows("refusal")


def test_nothing_runs_that_does_not_come_from_the_platform(visit: Visit) -> None:
    stranger = visit()
    asked: list[str] = []
    stranger.page.on("request", lambda request: asked.append(request.url))
    response = stranger.page.goto(stranger.platform.address + "/sign-in")
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert all(url.startswith((stranger.platform.address, "data:")) for url in asked)
    assert stranger.page.locator("script:not([src])").count() == 0


def test_a_form_without_its_token_changes_nothing(visit: Visit) -> None:
    supplier = visit("supplier")
    answer = supplier.page.request.post(supplier.platform.address + "/resources", form={"title": "x", "name": "forged"})
    assert answer.status == 403
    supplier.goes_to("/resources")
    expect(supplier.page.get_by_text("forged")).to_have_count(0)


def test_an_object_one_may_not_know_of_is_answered_as_unknown(visit: Visit) -> None:
    bank = visit("bank")
    response = bank.page.goto(bank.platform.address + "/grants/grant-0000")
    assert response is not None
    assert response.status in {403, 404}
    expect(bank.page.locator(".reasons")).to_be_visible()
    bank.shows("not-for-you")
