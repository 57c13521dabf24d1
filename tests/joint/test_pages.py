"""The pages of joint computing: both roles go through them, in both languages, and see who learns what."""

import re
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
from starlette.testclient import TestClient

from gongshu.compute import store as compute_store
from gongshu.compute.types import JobProgress, JobStatus
from gongshu.parties import service as parties
from gongshu.server.asgi import create_app
from gongshu.server.edge import SESSION_COOKIE
from tests import governed_site
from tests.joint.nodes import KEY, PASSWORD, RELATION, VALUE, two_nodes

FORM = f"/entitlements/{governed_site.ENTITLEMENT}/joint"
PORTS = 9_101, 9_102


@dataclass
class Visitor:
    """A developer before the console of one installation."""

    node: object
    client: TestClient
    csrf: str

    def see(self, path, *, locale="en"):
        answer = self.client.get(path, headers={"Accept-Language": locale, "Accept": "text/html"})
        assert answer.status_code == 200, answer.text
        return re.sub(r"\s+", " ", answer.text)

    def fill(self, path, letter=None, *, status=200, **fields):
        answer = self.client.post(
            path, data=fields, headers={"HX-Request": "true", "Accept": "text/html", "X-CSRF-Token": self.csrf},
            files={"letter": ("letter.json", letter, "application/json")} if letter is not None else None,
        )  # fmt: skip
        assert answer.status_code == status, answer.text
        return answer.headers.get("HX-Redirect", answer.text)


@pytest.fixture
def visitors(tmp_path):
    with two_nodes(tmp_path, PORTS) as (city, bank), ExitStack() as stack:
        made = []
        for node in (bank, city):
            secret, session = parties.sign_in(node.site, "developer", PASSWORD)
            client = stack.enter_context(TestClient(create_app(node.site), cookies={SESSION_COOKIE: secret}))
            made.append(Visitor(node, client, session.csrf))
        yield made


def own(node, **more):
    return {"relation": RELATION, "key": KEY, "rows_max": "1000", "address": node.address, "scale": "2", **more}


def test_two_developers_agree_on_a_task_by_the_pages(visitors):
    bank, city = visitors
    assert bank.node.fingerprint() in bank.see(FORM)
    where = bank.fill(
        FORM, purpose="普惠金融", kind="sums", learners="proposer", key_type="text", **own(bank.node, pad="1")
    )
    told = bank.see(where)
    assert "how many keys both have and the sum over them, if there are at least 10 and none dominates" in told
    assert "of the outcome: nothing" in told
    assert "awaiting the answer" in told
    proposal = bank.client.get(f"{where}/letter")
    assert proposal.headers["content-disposition"].startswith("attachment")
    answered = city.fill(
        f"{FORM}/answers", proposal.content, fingerprint=bank.node.fingerprint(), **own(city.node, value=VALUE)
    )
    assert answered == where
    assert "对方获知" in city.see(where, locale="zh-CN")
    assert "that the other side brings at most 1,000 keys; random ones hide how many" in city.see(where)
    answer = city.client.get(f"{where}/letter").content
    assert bank.fill("/joint/confirmations", answer, fingerprint=city.node.fingerprint()) == where
    confirmation = bank.client.get(f"{where}/letter").content
    assert city.fill("/joint/confirmations", confirmation, fingerprint=bank.node.fingerprint()) == where
    for visitor in visitors:
        assert "普惠金融" in visitor.see("/joint")
        page = visitor.see(where)
        assert 'hx-trigger="every 1s"' in page
        assert "Agreed by both" in page
        assert "0 %" in page


def test_what_is_wrong_is_said_in_the_form(visitors):
    bank, _ = visitors
    refused = bank.fill(
        FORM, status=403, purpose="普惠金融", kind="intersection", learners="both", key_type="text", **own(bank.node)
    )
    assert "joint-use-missing" in refused
    assert "joint-letter-unreadable" in bank.fill("/joint/confirmations", b"{}", status=422, fingerprint="00")


def test_the_bar_follows_the_run_and_ends_with_it(visitors):
    bank, city = visitors
    where = bank.fill(FORM, purpose="统计", kind="count", learners="both", key_type="text", **own(bank.node))
    proposal = bank.client.get(f"{where}/letter").content
    city.fill(f"{FORM}/answers", proposal, fingerprint=bank.node.fingerprint(), **own(city.node))
    answer = city.client.get(f"{where}/letter").content
    bank.fill("/joint/confirmations", answer, fingerprint=city.node.fingerprint())
    site = bank.node.site
    kept = bank.node.status(where.rpartition("/")[2])["agreement"]
    for percent, phase, words in (
        (5, "agreed", "Both hold the same document"),
        (42, "comparing", "Comparing on shares"),
    ):
        with site.db.transaction() as tx:
            compute_store.put_progress(tx, JobProgress(kept.job, percent, phase, site.now()))
        part = bank.client.get(f"{where}/progress", headers={"HX-Request": "true", "Accept-Language": "en"}).text
        assert f"{percent} %" in part
        assert words in part
        assert "<html" not in part
    assert "/joint/" in bank.see(f"/jobs/{kept.job}")
    with site.db.transaction() as tx:
        job = compute_store.JOBS.get(tx, kept.job)
        compute_store.JOBS.save(tx, job, replace(job, status=JobStatus.FAILED, failure_code="joint-broken-off"))
    ended = bank.client.get(f"{where}/progress", headers={"HX-Request": "true"})
    assert ended.headers["HX-Refresh"] == "true"
    assert "joint-broken-off" in bank.see(where)
    assert "不满足阈值时" in bank.see(where, locale="zh-CN")
