"""The one table of roles, and the decision that reads it."""

from gongshu.access.types import Actor, Permission, Role
from gongshu.base.decisions import Decision, Kind, Permitted, decide, rule

P = Permission

_READ_ALL = frozenset(p for p in Permission if p.value.startswith("read:"))
_READ_OPEN = frozenset({P.READ_CATALOG_VIEW, P.READ_LISTING_VIEW, P.READ_REGISTRATION_VIEW, P.READ_PARTY_VIEW})

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.SUPPLIER: _READ_OPEN
    | {
        P.READ_BILLING_VIEW, P.READ_GRANT_VIEW, P.SUPPLY_CLASSIFICATION_CONFIRM, P.SUPPLY_REGISTRATION_SUBMIT,
        P.SUPPLY_RESOURCE_CREATE, P.SUPPLY_RESOURCE_INGEST, P.SUPPLY_USES_SET,
    },
    Role.REGISTRAR: _READ_OPEN | {P.REGISTER_REGISTRATION_DECIDE},
    Role.AUTHORISING_BODY: _READ_ALL | {P.AUTHORISE_PLAN_DECIDE},
    Role.IMPLEMENTING_AGENCY: _READ_ALL
    | {
        P.AGENCY_AGREEMENT_SIGN, P.AGENCY_AGREEMENT_WRITE, P.AGENCY_GRANT_END, P.AGENCY_GRANT_ISSUE,
        P.AGENCY_PLAN_WRITE, P.AGENCY_SCENARIO_APPROVE, P.AUDIT_TRACE_READ,
    },
    Role.OPERATOR: _READ_ALL
    | {
        P.OPERATE_AGREEMENT_SIGN, P.OPERATE_CONSENT_WRITE, P.OPERATE_CONTRACT_SIGN, P.OPERATE_LISTING_WRITE,
        P.OPERATE_PRODUCT_WRITE, P.OPERATE_RELEASE_WRITE, P.OPERATE_SCENARIO_APPLY, P.OPERATE_STATEMENT_ADJUST, P.OPERATE_STATEMENT_CREATE,
    },
    Role.ASSESSOR: _READ_OPEN | {P.ASSESS_SCENARIO_SCORE, P.READ_SCENARIO_VIEW},
    Role.DEVELOPER: _READ_OPEN
    | {
        P.DEVELOP_JOB_SUBMIT, P.DEVELOP_JOINT_AGREE, P.DEVELOP_OUTPUT_SUBMIT, P.DEVELOP_SQL_EXPLAIN,
        P.DEVELOP_SYNTHETIC_READ, P.READ_JOB_VIEW, P.READ_OUTPUT_VIEW, P.READ_SCENARIO_VIEW,
    },
    Role.REVIEWER: _READ_OPEN | {P.READ_JOB_VIEW, P.READ_OUTPUT_VIEW, P.READ_SCENARIO_VIEW, P.REVIEW_OUTPUT_VOTE},
    Role.CONSUMER: _READ_OPEN
    | {
        P.CONSUME_CONTRACT_SIGN, P.CONSUME_DISPUTE_RAISE, P.CONSUME_KEY_CREATE, P.CONSUME_ORDER_PLACE,
        P.CONSUME_PACK_BUY, P.CONSUME_STATEMENT_CONFIRM,
        P.READ_BILLING_VIEW, P.READ_CONTRACT_VIEW,
    },
    Role.AUDITOR: _READ_ALL | {P.AUDIT_LOG_READ, P.AUDIT_TRACE_READ},
    Role.PLATFORM_ADMINISTRATOR: _READ_OPEN
    | {
        P.ADMINISTER_CLOCK_MOVE, P.ADMINISTER_GATEWAY_CHANGE, P.ADMINISTER_PARTY_CREATE, P.ADMINISTER_PERSON_CREATE,
        P.AUDIT_LOG_READ, P.READ_GATEWAY_VIEW,
    },
    Role.PUBLIC: _READ_OPEN,
}  # fmt: skip

PERMISSION_MISSING = rule(
    "permission-missing", Kind.FORBIDDEN,
    zh="您的角色（{roles}）没有权限 {permission}。", en="Your roles ({roles}) do not hold the permission {permission}.",
    fix_zh="具有该权限的角色：{holders}。请由其办理，或向平台管理员申请。",
    fix_en="Roles that hold it: {holders}. Ask one of them, or the platform administrator.",
    law="TC609-6-2025-13 §7.4",
)  # fmt: skip


def permissions_of(actor: Actor) -> frozenset[Permission]:
    """Return everything the roles of ``actor`` permit."""
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in actor.roles))


def decide_permission(actor: Actor, permission: Permission) -> Decision[Actor]:
    """Return the actor if one of its roles holds ``permission``, else who does hold it."""
    if permission in permissions_of(actor):
        return Permitted(actor)
    holders = ", ".join(role.value for role, held in ROLE_PERMISSIONS.items() if permission in held)
    roles = ", ".join(sorted(actor.roles)) or "—"
    return decide(actor, PERMISSION_MISSING.because(roles=roles, permission=permission, holders=holders))
