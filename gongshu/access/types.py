"""Actors, roles and permissions."""

from dataclasses import dataclass
from enum import StrEnum

from gongshu.base.ids import PartyId, PersonId


class Role(StrEnum):
    """What a person does on the platform. The order is that of the flow."""

    SUPPLIER = "supplier"  # 供数单位
    REGISTRAR = "registrar"  # 登记机构
    AUTHORISING_BODY = "authorising_body"  # 授权主体 (同级人民政府)
    IMPLEMENTING_AGENCY = "implementing_agency"  # 实施机构
    OPERATOR = "operator"  # 运营机构
    ASSESSOR = "assessor"  # 评审专家
    DEVELOPER = "developer"  # 开发主体
    REVIEWER = "reviewer"  # 出域审核员
    CONSUMER = "consumer"  # 使用方
    AUDITOR = "auditor"  # 监管与审计
    PLATFORM_ADMINISTRATOR = "platform_administrator"  # 平台管理员
    PUBLIC = "public"  # 公众


class Permission(StrEnum):
    """``<scope>:<resource>:<action>``, alphabetical."""

    ADMINISTER_CLOCK_MOVE = "administer:clock:move"
    ADMINISTER_GATEWAY_CHANGE = "administer:gateway:change"
    ADMINISTER_PARTY_CREATE = "administer:party:create"
    ADMINISTER_PERSON_CREATE = "administer:person:create"
    AGENCY_AGREEMENT_SIGN = "agency:agreement:sign"
    AGENCY_AGREEMENT_WRITE = "agency:agreement:write"
    AGENCY_GRANT_END = "agency:grant:end"
    AGENCY_GRANT_ISSUE = "agency:grant:issue"
    AGENCY_PLAN_WRITE = "agency:plan:write"
    AGENCY_SCENARIO_APPROVE = "agency:scenario:approve"
    ASSESS_SCENARIO_SCORE = "assess:scenario:score"
    AUDIT_LOG_READ = "audit:log:read"
    AUDIT_TRACE_READ = "audit:trace:read"
    AUTHORISE_PLAN_DECIDE = "authorise:plan:decide"
    CONSUME_CONTRACT_SIGN = "consume:contract:sign"
    CONSUME_DISPUTE_RAISE = "consume:dispute:raise"
    CONSUME_KEY_CREATE = "consume:key:create"
    CONSUME_ORDER_PLACE = "consume:order:place"
    CONSUME_PACK_BUY = "consume:pack:buy"
    CONSUME_STATEMENT_CONFIRM = "consume:statement:confirm"
    DEVELOP_JOB_SUBMIT = "develop:job:submit"
    DEVELOP_JOINT_AGREE = "develop:joint:agree"
    DEVELOP_OUTPUT_SUBMIT = "develop:output:submit"
    DEVELOP_SQL_EXPLAIN = "develop:sql:explain"
    DEVELOP_SYNTHETIC_READ = "develop:synthetic:read"
    OPERATE_AGREEMENT_SIGN = "operate:agreement:sign"
    OPERATE_CONSENT_WRITE = "operate:consent:write"
    OPERATE_CONTRACT_SIGN = "operate:contract:sign"
    OPERATE_LISTING_WRITE = "operate:listing:write"
    OPERATE_PRODUCT_WRITE = "operate:product:write"
    OPERATE_RELEASE_WRITE = "operate:release:write"
    OPERATE_SCENARIO_APPLY = "operate:scenario:apply"
    OPERATE_STATEMENT_ADJUST = "operate:statement:adjust"
    OPERATE_STATEMENT_CREATE = "operate:statement:create"
    READ_BILLING_VIEW = "read:billing:view"
    READ_CATALOG_VIEW = "read:catalog:view"
    READ_CONTRACT_VIEW = "read:contract:view"
    READ_GATEWAY_VIEW = "read:gateway:view"
    READ_GRANT_VIEW = "read:grant:view"
    READ_JOB_VIEW = "read:job:view"
    READ_LISTING_VIEW = "read:listing:view"
    READ_OUTPUT_VIEW = "read:output:view"
    READ_PARTY_VIEW = "read:party:view"
    READ_REGISTRATION_VIEW = "read:registration:view"
    READ_SCENARIO_VIEW = "read:scenario:view"
    REGISTER_REGISTRATION_DECIDE = "register:registration:decide"
    REVIEW_OUTPUT_VOTE = "review:output:vote"
    SUPPLY_CLASSIFICATION_CONFIRM = "supply:classification:confirm"
    SUPPLY_REGISTRATION_SUBMIT = "supply:registration:submit"
    SUPPLY_RESOURCE_CREATE = "supply:resource:create"
    SUPPLY_RESOURCE_INGEST = "supply:resource:ingest"
    SUPPLY_USES_SET = "supply:uses:set"


@dataclass(frozen=True)
class Actor:
    """A person acting for a party, with the roles held there. Resolved once, at the edge, from a credential."""

    person: PersonId
    party: PartyId
    roles: frozenset[Role]
    name: str = ""


SYSTEM = Actor(PersonId("system"), PartyId("platform"), frozenset(), name="gongshu")
"""The platform itself: deadlines, workers, the gateway. It holds no role; services that it may call say so."""
