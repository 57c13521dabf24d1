"""Who may become a party, a person, or a signed-in person. Pure.

A refused sign-in never says which part of it was wrong; the audit log does.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime, timedelta

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Decision, Denied, Kind, Permitted, Reason, decide, rule
from gongshu.base.identifiers import CODE_LENGTH, CREDIT_ALPHABET, credit_check_character
from gongshu.base.ids import PartyId
from gongshu.base.parameters import Parameters
from gongshu.parties.types import ANONYMOUS, ApiToken, Party, Password, Person, Session

REGION = re.compile(r"[0-9]{4}([0-9]{2})?")
LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
NAME_CHARS_MAX = 200
PASSWORD_CHARS_MAX = 200

CREDIT_CODE_WRONG = rule(
    "credit-code-wrong", Kind.INVALID,
    zh="统一社会信用代码 {code} 不正确：{fault_zh}。", en="The unified social credit code {code} is wrong: {fault_en}.",
    fix_zh="请核对营业执照或事业单位法人证书上的 18 位代码。",
    fix_en="Compare it with the 18 characters on the certificate of the organisation.", law="GB 32100-2015",
)  # fmt: skip
PARTY_EXISTS = rule(
    "party-exists", Kind.CONFLICT,
    zh="统一社会信用代码 {code} 已由主体 {party} 入驻。", en="An organisation with the code {code} is here already: {party}.",
    fix_zh="请使用已有主体，不要重复入驻。", fix_en="Use the one that exists.", law="TC609-6-2025-11 §7.2.1",
)  # fmt: skip
PARTY_ID_TAKEN = rule(
    "party-id-taken", Kind.CONFLICT, zh="主体编号 {party} 已被使用。", en="The party id {party} is taken.",
    fix_zh="请换一个编号，或留空由平台生成。", fix_en="Choose another, or leave it empty and get one.",
)  # fmt: skip
PARTY_FIELD_WRONG = rule(
    "party-field-wrong", Kind.INVALID, zh="{field} 填写不正确。", en="{field} is not filled in correctly.",
    fix_zh="要求：{wanted_zh}。", fix_en="Wanted: {wanted_en}.",
)  # fmt: skip
REGISTRAR_NOT_PUBLIC_INSTITUTION = rule(
    "registrar-not-public-institution", Kind.INVALID,
    zh="登记机构应当是事业单位，{party} 不是。", en="A registrar is a public institution; {party} is not.",
    fix_zh="请改设事业单位为登记机构，或去掉登记机构角色。",
    fix_en="Make a public institution (事业单位) the registrar, or drop the role.", law="26号 art.3",
)  # fmt: skip
AFFILIATE_UNKNOWN = rule(
    "affiliate-unknown", Kind.INVALID, zh="关联方 {party} 尚未入驻。", en="The affiliate {party} is not known here.",
    fix_zh="请先办理其入驻，再声明关联关系。", fix_en="Admit it first, then declare it.", law="27号 art.6",
)  # fmt: skip
ROLE_NOT_OF_PARTY = rule(
    "role-not-of-party", Kind.INVALID, zh="主体 {party} 没有角色 {role}，其人员不能担任。",
    en="The party {party} does not hold the role {role}, so its people cannot.",
    fix_zh="可选角色：{possible}。", fix_en="Possible roles: {possible}.", law="TC609-6-2025-13 §7.4",
)  # fmt: skip
LOGIN_WRONG = rule(
    "login-wrong", Kind.INVALID, zh="登录名不符合要求。", en="The login name has the wrong form.",
    fix_zh="2 至 64 个字符：小写字母、数字、点、下划线、连字符，以字母或数字开头。",
    fix_en="2 to 64 characters: lower-case letters, digits, dot, underscore, hyphen; a letter or digit first.",
)  # fmt: skip
LOGIN_TAKEN = rule(
    "login-taken", Kind.CONFLICT, zh="该登录名已被使用。", en="This login name is taken.",
    fix_zh="请换一个登录名。", fix_en="Choose another one.",
)  # fmt: skip
PASSWORD_WEAK = rule(
    "password-weak", Kind.INVALID, zh="密码缺少：{missing_zh}。", en="The password lacks: {missing_en}.",
    fix_zh="至少 {chars_min} 个字符，同时含字母、数字和特殊字符。",
    fix_en="At least {chars_min} characters, with letters, digits and special characters.", law="NDI-TR-2025-03 §9",
)  # fmt: skip
SIGN_IN_FAILED = rule(
    "sign-in-failed", Kind.UNAUTHENTICATED,
    zh="登录名或密码不正确，或因连续错误已暂时锁定。",
    en="The login name or the password is wrong, or too many wrong attempts locked it for a while.",
    fix_zh="请核对后重试；连续 {failures_max} 次错误将锁定 {lock_minutes} 分钟。",
    fix_en="Check both and try again; {failures_max} wrong attempts in a row lock it for {lock_minutes} minutes.",
    law="NDI-TR-2025-03 §9",
)  # fmt: skip
DEMO_ONLY = rule(
    "demo-only", Kind.FORBIDDEN, zh="免密码登录只在演示模式下可用。", en="Sign-in without a password exists in demo mode only.",
    fix_zh="请用密码登录。", fix_en="Sign in with a password.",
)  # fmt: skip
NOT_SIGNED_IN = rule(
    "not-signed-in", Kind.UNAUTHENTICATED, zh="此操作须先登录。", en="This needs somebody who has signed in.",
    fix_zh="请登录后重试。", fix_en="Sign in and try again.",
)  # fmt: skip
TOKEN_TERM_WRONG = rule(
    "token-term-wrong", Kind.INVALID, zh="令牌有效期应为 1 至 {days_max} 天。", en="A token lives for 1 to {days_max} days.",
    fix_zh="请改短有效期。", fix_en="Choose a shorter term.",
)  # fmt: skip
NOT_EMPTY = rule(
    "installation-not-empty", Kind.CONFLICT, zh="平台已有主体，不能再次初始化。",
    en="There are parties already; the first administrator can be made on an empty installation only.",
    fix_zh="请由现有平台管理员创建人员。", fix_en="Ask an existing platform administrator to create people.",
)  # fmt: skip


def credit_code_fault(code: str) -> tuple[str, str] | None:
    """Return what is wrong with a unified social credit code (Chinese, English), or ``None``."""
    if len(code) != CODE_LENGTH:
        return "应为 18 位", "it has not 18 characters"
    if not set(code) <= set(CREDIT_ALPHABET):
        return "含有不允许的字符", "it holds a character outside the alphabet"
    if credit_check_character(code[:-1]) != code[-1]:
        return "校验位不符", "its check character does not fit"
    return None


def decide_party(
    party: Party, *, holder_of_code: Party | None, is_id_taken: bool, known: Collection[str]
) -> Decision[Party]:
    """An organisation is admitted once, with a right code; a registrar is a public institution (26号 art.3)."""
    reasons: list[Reason] = []
    fault = credit_code_fault(party.credit_code)
    if fault is not None:
        reasons.append(CREDIT_CODE_WRONG.because(code=party.credit_code, fault_zh=fault[0], fault_en=fault[1]))
    if holder_of_code is not None:
        reasons.append(PARTY_EXISTS.because(code=party.credit_code, party=holder_of_code.id))
    if is_id_taken:
        reasons.append(PARTY_ID_TAKEN.because(party=party.id))
    reasons += _field_faults(party)
    if Role.REGISTRAR in party.roles and not party.is_public_institution:
        reasons.append(REGISTRAR_NOT_PUBLIC_INSTITUTION.because(party=party.name))
    reasons += [AFFILIATE_UNKNOWN.because(party=other) for other in sorted(party.affiliates) if other not in known]
    return decide(party, *reasons)


def _field_faults(party: Party) -> list[Reason]:
    wrong = PARTY_FIELD_WRONG.because
    reasons = []
    if not 0 < len(party.name.strip()) <= NAME_CHARS_MAX:
        wanted = {"wanted_zh": f"1 至 {NAME_CHARS_MAX} 个字", "wanted_en": f"1 to {NAME_CHARS_MAX} characters"}
        reasons.append(wrong(field="name", **wanted))
    if not REGION.fullmatch(party.region):
        reasons.append(
            wrong(
                field="region", wanted_zh="4 位或 6 位行政区划代码（GB/T 2260）", wanted_en="4 or 6 digits of GB/T 2260"
            )
        )
    if not party.roles - {Role.PUBLIC}:
        reasons.append(wrong(field="roles", wanted_zh="至少一个角色", wanted_en="at least one role"))
    return reasons


def decide_affiliates(party: Party, affiliates: frozenset[PartyId], known: Collection[str]) -> Decision[Party]:
    """Affiliates may become known later; only known organisations can be declared (27号 art.6)."""
    others = sorted(affiliates - {party.id})
    changed = replace(party, affiliates=affiliates - {party.id})
    return decide(changed, *(AFFILIATE_UNKNOWN.because(party=other) for other in others if other not in known))


def are_related(one: Party, other: Party) -> bool:
    """Whether two organisations are the same, affiliates, or share an affiliate (27号 art.6, 关联方)."""
    ours, theirs = one.affiliates | {one.id}, other.affiliates | {other.id}
    return bool(ours & theirs)


def password_faults(password: str, chars_min: int) -> list[tuple[str, str]]:
    """Return what a password lacks, in Chinese and English (NDI-TR-2025-03 §9)."""
    faults = []
    if len(password) < chars_min:
        faults.append((f"{chars_min} 个以上字符", f"{chars_min} characters"))
    if len(password) > PASSWORD_CHARS_MAX:
        faults.append((f"不超过 {PASSWORD_CHARS_MAX} 个字符的长度", f"an end within {PASSWORD_CHARS_MAX} characters"))
    if not any(char.isalpha() for char in password):
        faults.append(("字母", "a letter"))
    if not any(char.isdigit() for char in password):
        faults.append(("数字", "a digit"))
    if all(char.isalnum() for char in password):
        faults.append(("特殊字符", "a special character"))
    return faults


def decide_person(
    person: Person, party: Party, *, password: str, chars_min: int, is_login_taken: bool
) -> Decision[Person]:
    """A person acts for one organisation, in roles that this organisation holds (or as the public)."""
    reasons: list[Reason] = []
    if not 0 < len(person.name.strip()) <= NAME_CHARS_MAX:
        wanted = {"wanted_zh": f"1 至 {NAME_CHARS_MAX} 个字", "wanted_en": f"1 to {NAME_CHARS_MAX} characters"}
        reasons.append(PARTY_FIELD_WRONG.because(field="name", **wanted))
    possible = ", ".join(sorted(party.roles | {Role.PUBLIC}))
    beyond = sorted(person.roles - party.roles - {Role.PUBLIC})
    reasons += [ROLE_NOT_OF_PARTY.because(party=party.id, role=role, possible=possible) for role in beyond]
    if not LOGIN.fullmatch(person.login):
        reasons.append(LOGIN_WRONG.because())
    if is_login_taken:
        reasons.append(LOGIN_TAKEN.because())
    faults = password_faults(password, chars_min)
    if faults:
        missing_zh, missing_en = "、".join(zh for zh, _ in faults), ", ".join(en for _, en in faults)
        reasons.append(PASSWORD_WEAK.because(missing_zh=missing_zh, missing_en=missing_en, chars_min=chars_min))
    return decide(person, *reasons)


def sign_in_refusal(parameters: Parameters, day: date) -> Denied:
    """The one answer to every sign-in that fails, whatever was wrong."""
    failures_max = parameters.number("password.failures_max", day)
    lock_minutes = parameters.number("password.lock_minutes", day)
    return Denied((SIGN_IN_FAILED.because(failures_max=failures_max, lock_minutes=lock_minutes),))


def count_attempt(
    password: Password, *, matches: bool, failures_max: int, lock: timedelta, now: datetime
) -> tuple[Password, str]:
    """Return the password's state after an attempt, and its cause of failure (empty: signed in).

    The attempt that reaches ``failures_max`` locks it; while locked even the right password fails and nothing counts.
    """
    if password.locked_until is not None and now < password.locked_until:
        return password, "locked"
    if matches:
        return replace(password, failures=0, locked_until=None), ""
    # After a lock has run out counting starts anew.
    failures = 1 if password.locked_until is not None else password.failures + 1
    locked_until = now + lock if failures >= failures_max else None
    return replace(password, failures=failures, locked_until=locked_until), "wrong-password"


def actor_of(person: Person, party: Party) -> Actor:
    """Return who acts: the person's roles as far as the organisation holds them now."""
    return Actor(person.id, party.id, person.roles & (party.roles | {Role.PUBLIC}), name=person.name)


def has_expired(credential: Session | ApiToken, now: datetime) -> bool:
    """Whether a session or token no longer counts at ``now``."""
    return now >= credential.expires_at


def decide_signed_in(actor: Actor) -> Decision[Actor]:
    """Only a known person may do what leaves a name."""
    return decide(actor, NOT_SIGNED_IN.because() if actor.person == ANONYMOUS.person else None)


def decide_demo(person: Person | None, *, is_demo: bool, refusal: Denied) -> Decision[Person]:
    """One-click sign-in exists in demo mode only, for people who exist and are active."""
    if not is_demo:
        return Denied((DEMO_ONLY.because(),))
    return Permitted(person) if person is not None and person.is_active else refusal


def decide_token(actor: Actor, token: ApiToken, *, days: int, days_max: int) -> Decision[ApiToken]:
    """A signed-in person makes a token for themselves, for a limited number of days."""
    is_term_wrong = not 1 <= days <= days_max
    return decide(
        token,
        NOT_SIGNED_IN.because() if actor.person == ANONYMOUS.person else None,
        TOKEN_TERM_WRONG.because(days_max=days_max) if is_term_wrong else None,
    )


def decide_bootstrap(party: Party, *, is_empty: bool) -> Decision[Party]:
    """The first administrator is made on an empty installation, and never again."""
    return decide(party, None if is_empty else NOT_EMPTY.because())
