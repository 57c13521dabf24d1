"""Who may submit, review and release an output (27号 art.14(三)). Nothing leaves on one vote, or on changed bytes."""

from dataclasses import replace

from gongshu.base.decisions import Decision, Denied, Kind, Reason, decide, decide_step, rule
from gongshu.base.ids import PartyId
from gongshu.compute.types import Job, JobStatus, OutputFile
from gongshu.egress.rules import programs
from gongshu.egress.rules.checks import has_failed
from gongshu.egress.types import Output, OutputStatus, ReviewKind, Standing, Vote

S = OutputStatus
OUTPUT_TRANSITIONS: dict[tuple[OutputStatus, str], tuple[OutputStatus, str]] = {
    (S.QUARANTINED, "submit"): (S.IN_REVIEW, "author"),
    (S.IN_REVIEW, "approve"): (S.APPROVED, "both reviewers"),
    (S.IN_REVIEW, "reject"): (S.REJECTED, "either reviewer"),
    (S.APPROVED, "release"): (S.RELEASED, "operator"),
    (S.QUARANTINED, "void"): (S.VOID, "platform"),
    (S.IN_REVIEW, "void"): (S.VOID, "platform"),
    (S.APPROVED, "void"): (S.VOID, "platform"),
    (S.QUARANTINED, "stop"): (S.STOPPED, "implementing_agency"),
    (S.IN_REVIEW, "stop"): (S.STOPPED, "implementing_agency"),
    (S.APPROVED, "stop"): (S.STOPPED, "implementing_agency"),
}

OUTPUT_CHANGED = rule(
    "output-changed", Kind.CONFLICT, zh="输出 {output} 的文件自冻结后被改动（{file}），审核已全部作废。",
    en="A file of the output {output} was changed after it was frozen ({file}); all reviews are void.",
    fix_zh="请重新提交作业，生成新的输出。", fix_en="Submit the job again to make a new output.", law="27号 art.14(三)",
)  # fmt: skip
RELEASE_CHANGED = rule(
    "release-changed", Kind.CONFLICT, zh="出域文件 {release} 与审核时不一致（{file}），不予交付。",
    en="A file of the release {release} is not what was reviewed ({file}); it is not delivered.",
    fix_zh="请平台管理员从备份恢复该文件。", fix_en="Let the platform administrator restore it from a backup.",
    law="27号 art.14(三)",
)  # fmt: skip
OUTPUT_JOB_UNFINISHED = rule(
    "output-job-unfinished", Kind.CONFLICT, zh="作业 {job} 没有成功结束（{status}），没有输出。",
    en="The job {job} has not succeeded ({status}); it has no output.",
    fix_zh="请等待作业成功结束。", fix_en="Wait until the job has succeeded.",
)  # fmt: skip
OUTPUT_NOT_YOURS = rule(
    "output-not-yours", Kind.FORBIDDEN, zh="输出属于 {author}，您代表的是 {party}。",
    en="The output belongs to {author}; you act for {party}.",
    fix_zh="请由作者单位提交。", fix_en="Let the author's organisation submit it.",
)  # fmt: skip
OUTPUT_CONTEXT_MISSING = rule(
    "output-context-missing", Kind.INVALID, zh="没有说明输出的背景和用途。", en="The output's context is missing.",
    fix_zh="请说明输出是什么、怎样得到、谁来使用。", fix_en="Say what the output is, how it was made and who will use it.",
    law="27号 art.14(三)",
)  # fmt: skip
OUTPUT_CHECK_FAILED = rule(
    "output-check-failed", Kind.FORBIDDEN, zh="自动检查“{check}”未通过（{target}）。",
    en="The automatic check {check} failed ({target}).",
    fix_zh="请修改作业使其通过，例如提高分组粒度、去掉该列，再重新提交作业。",
    fix_en="Change the job so that it passes, for example with coarser groups or without that column, and submit it again.",
    law="27号 art.21",
)  # fmt: skip
OUTPUT_ENTITLEMENT_ENDED = rule(
    "output-entitlement-ended", Kind.CONFLICT, zh="使用资格 {entitlement} 已不在有效期内。",
    en="The entitlement {entitlement} is not in force.",
    fix_zh="请重新申请场景。", fix_en="Apply for the scenario again.", law="27号 art.14",
)  # fmt: skip
REVIEWER_IS_AUTHOR = rule(
    "reviewer-is-author", Kind.FORBIDDEN, zh="不能审核自己提交的输出。", en="Nobody reviews an output of their own.",
    fix_zh="请由其他单位的审核员审核。", fix_en="Let a reviewer of another organisation do it.", law="27号 art.14(三)",
)  # fmt: skip
REVIEWER_RELATED = rule(
    "reviewer-related", Kind.FORBIDDEN, zh="审核员所在单位 {party} 与作者单位 {author} 相同或有关联关系。",
    en="The reviewer's organisation {party} is the author's organisation {author} or related to it.",
    fix_zh="请由无关联单位的审核员审核。", fix_en="Let a reviewer of an unrelated organisation do it.",
    law="27号 art.6, 14(三)",
)  # fmt: skip
REVIEW_DIGEST_STALE = rule(
    "review-digest-stale", Kind.CONFLICT, zh="您查看的版本（{digest}）不是待审的版本。",
    en="What you looked at ({digest}) is not what is under review.",
    fix_zh="请刷新后重新查看再投票。", fix_en="Reload, look again, and vote then.", law="27号 art.14(三)",
)  # fmt: skip
REVIEW_KIND_TAKEN = rule(
    "review-kind-taken", Kind.CONFLICT, zh="“{kind}”审核已完成。", en="The {kind} review is done already.",
    fix_zh="请进行另一项审核。", fix_en="Do the other review.", law="27号 art.14(三)",
)  # fmt: skip
REVIEWER_VOTED_ALREADY = rule(
    "reviewer-voted-already", Kind.FORBIDDEN, zh="安全审核与业务规范性审核须由两名不同人员完成，您已审核过其中一项。",
    en="The two reviews are made by two different people; you have made one of them.",
    fix_zh="请由另一名审核员完成。", fix_en="Let another reviewer do the other one.", law="27号 art.14(三)",
)  # fmt: skip
REVIEW_REASON_MISSING = rule(
    "review-reason-missing", Kind.INVALID, zh="没有写明审核意见。", en="The review gives no reason.",
    fix_zh="请写明同意或不同意的理由。", fix_en="Say why you approve or object.", law="27号 art.14(三)",
)  # fmt: skip
REVIEWS_INCOMPLETE = rule(
    "reviews-incomplete", Kind.FORBIDDEN, zh="出域需要 {needed} 项同意的审核，现有 {found} 项有效。",
    en="A release needs {needed} approving reviews; {found} are valid.",
    fix_zh="请等待安全审核和业务规范性审核均通过。", fix_en="Wait until both the security and the conformity review approve.",
    law="27号 art.14(三)",
)  # fmt: skip
RELEASE_NOT_OPERATOR = rule(
    "release-not-operator", Kind.FORBIDDEN, zh="只有该使用资格的运营机构 {operator} 可以办理出域。",
    en="Only the operator of the entitlement, {operator}, releases its outputs.",
    fix_zh="请由该运营机构办理。", fix_en="Ask that operator to do it.", law="27号 art.14",
)  # fmt: skip
PREVIEW_BEFORE_RELEASE = rule(
    "preview-before-release", Kind.FORBIDDEN, zh="出域前，作者和运营机构不能查看输出内容。",
    en="Before the release neither author nor operator may see the content.",
    fix_zh="请等待审核通过并出域。", fix_en="Wait until it has been reviewed and released.", law="27号 art.14(三)",
)  # fmt: skip


def changed_file(declared: tuple[OutputFile, ...], digests: dict[str, str]) -> str:
    """Return the name of a file whose bytes are not those declared, or an empty string. A missing file has no digest."""
    return next((file.name for file in declared if digests.get(file.name) != file.sha256), "")


def decide_collect(job: Job) -> Decision[Job]:
    """Only a job that succeeded has an output."""
    is_done = job.status is JobStatus.SUCCEEDED
    return decide(job, None if is_done else OUTPUT_JOB_UNFINISHED.because(job=job.id, status=job.status))


def _ended(standing: Standing) -> tuple[Reason | None, ...]:
    entitlement = standing.entitlement
    is_in_force = entitlement.is_in_force(standing.now)
    return (
        None if is_in_force else OUTPUT_ENTITLEMENT_ENDED.because(entitlement=entitlement.id),
        *standing.faults,
    )


def decide_submit(output: Output, party: PartyId, standing: Standing) -> Decision[Output]:
    """The author's organisation asks for review; impossible while a check fails. ``output`` carries the new context."""
    step = decide_step("output", OUTPUT_TRANSITIONS, output.status, "submit")
    failed = [finding for finding in programs.told(output) if has_failed((finding,))]
    return decide(
        replace(output, status=S.IN_REVIEW),
        *step.reasons,
        None if party == output.author_party else OUTPUT_NOT_YOURS.because(author=output.author_party, party=party),
        None if output.context else OUTPUT_CONTEXT_MISSING.because(),
        *(OUTPUT_CHECK_FAILED.because(check=f.check, target=f.target or "—") for f in failed),
        *_ended(standing),
    )


def is_barred(output: Output, party: PartyId, *, is_related: bool) -> bool:
    """Whether people of ``party`` may not review ``output``: it is the author's organisation, or related to it."""
    return is_related or party == output.author_party


def decide_vote(output: Output, vote: Vote, *, is_related: bool) -> Decision[Output]:
    """One review by an unrelated person, bound to the digest looked at; the status moves only when both are in."""
    step = decide_step("output", OUTPUT_TRANSITIONS, output.status, "approve")
    votes = (*output.votes, vote)
    return decide(
        replace(output, votes=votes, status=status_after(output.status, votes)),
        *step.reasons,
        REVIEWER_IS_AUTHOR.because() if vote.reviewer == output.author else None,
        REVIEWER_RELATED.because(party=vote.party, author=output.author_party)
        if is_barred(output, vote.party, is_related=is_related)
        else None,
        None
        if vote.output_digest == output.digest
        else REVIEW_DIGEST_STALE.because(digest=vote.output_digest[:16] or "—"),
        REVIEW_KIND_TAKEN.because(kind=vote.kind) if any(v.kind is vote.kind for v in output.votes) else None,
        REVIEWER_VOTED_ALREADY.because() if any(v.reviewer == vote.reviewer for v in output.votes) else None,
        None if vote.reason else REVIEW_REASON_MISSING.because(),
    )


def are_complete(votes: tuple[Vote, ...]) -> bool:
    """Whether both reviews are in; until then nobody but its author reads a vote."""
    return {vote.kind for vote in votes} == set(ReviewKind)


def status_after(status: OutputStatus, votes: tuple[Vote, ...]) -> OutputStatus:
    """Return the status that ``votes`` lead to: nothing until both are in, then approved if both approve."""
    if not are_complete(votes):
        return status
    action = "approve" if all(vote.approves for vote in votes) else "reject"
    return OUTPUT_TRANSITIONS[status, action][0] if (status, action) in OUTPUT_TRANSITIONS else status


def decide_release(output: Output, party: PartyId, standing: Standing, *, reviews_min: int) -> Decision[Output]:
    """Both reviews, of exactly these bytes, by two people; the operator releases while the authorization stands."""
    step = decide_step("output", OUTPUT_TRANSITIONS, output.status, "release")
    valid = {vote.kind: vote.reviewer for vote in output.votes if vote.approves and vote.output_digest == output.digest}
    found = min(len(valid), len(set(valid.values())))
    is_enough = found >= max(reviews_min, len(ReviewKind))
    return decide(
        replace(output, status=S.RELEASED),
        *step.reasons,
        None if party == output.operator else RELEASE_NOT_OPERATOR.because(operator=output.operator),
        None if is_enough else REVIEWS_INCOMPLETE.because(needed=max(reviews_min, len(ReviewKind)), found=found),
        *(
            OUTPUT_CHECK_FAILED.because(check=f.check, target=f.target)
            for f in programs.told(output)
            if has_failed((f,))
        ),
        *_ended(standing),
    )


def decide_preview(output: Output, party: PartyId, *, is_reviewer: bool, is_related: bool) -> Decision[Output]:
    """Reviewers of other organisations see rows once submitted; author and operator only what was released."""
    if is_reviewer and output.status is not S.QUARANTINED and not is_barred(output, party, is_related=is_related):
        return decide(output)
    if output.status is S.RELEASED and party in {output.author_party, output.operator}:
        return decide(output)
    return Denied((PREVIEW_BEFORE_RELEASE.because(),))


def hide_votes(output: Output, reader: str) -> Output:
    """Return the output as ``reader`` may see it: until both reviews are in, only the reader's own vote is shown."""
    if are_complete(output.votes):
        return output
    return replace(output, votes=tuple(vote for vote in output.votes if vote.reviewer == reader))
