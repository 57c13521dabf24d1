"""Where one can go, grouped along the flow, and for whom a place is of interest. Rights are the services' business."""

from dataclasses import dataclass

from gongshu.access.types import Role
from gongshu.console.labels import Word, word

R = Role


@dataclass(frozen=True)
class Place:
    """One entry of the menu."""

    title: Word
    path: str
    icon: str
    roles: frozenset[Role]


@dataclass(frozen=True)
class Group:
    """A stretch of the flow."""

    title: Word
    places: tuple[Place, ...]


def _place(title: Word, path: str, icon: str, *roles: Role) -> Place:
    return Place(title, path, icon, frozenset(roles))


_EVERYBODY = tuple(Role)

GROUPS: tuple[Group, ...] = (
    Group(
        word("menu", "Start"),
        (_place(word("menu", "What waits for me"), "/", "home", *(role for role in Role if role is not R.PUBLIC)),),
    ),
    Group(
        word("menu", "Supply"),
        (
            _place(
                word("menu", "Resources"),
                "/resources",
                "database",
                R.SUPPLIER,
                R.REGISTRAR,
                R.AUTHORISING_BODY,
                R.IMPLEMENTING_AGENCY,
                R.OPERATOR,
                R.DEVELOPER,
                R.AUDITOR,
            ),
            _place(
                word("menu", "Registrations"),
                "/registrations",
                "certificate",
                R.SUPPLIER,
                R.REGISTRAR,
                R.AUTHORISING_BODY,
                R.IMPLEMENTING_AGENCY,
                R.OPERATOR,
                R.AUDITOR,
            ),
        ),
    ),
    Group(
        word("menu", "Authorise"),
        (
            _place(
                word("menu", "Plans"),
                "/plans",
                "file-description",
                R.AUTHORISING_BODY,
                R.IMPLEMENTING_AGENCY,
                R.AUDITOR,
            ),
            _place(
                word("menu", "Agreements"),
                "/agreements",
                "writing-sign",
                R.AUTHORISING_BODY,
                R.IMPLEMENTING_AGENCY,
                R.OPERATOR,
                R.AUDITOR,
            ),
            _place(
                word("menu", "Grants"),
                "/grants",
                "shield-check",
                R.SUPPLIER,
                R.AUTHORISING_BODY,
                R.IMPLEMENTING_AGENCY,
                R.OPERATOR,
                R.AUDITOR,
            ),
            _place(
                word("menu", "Scenarios"),
                "/scenarios",
                "route",
                R.AUTHORISING_BODY,
                R.IMPLEMENTING_AGENCY,
                R.OPERATOR,
                R.ASSESSOR,
                R.AUDITOR,
            ),
        ),
    ),
    Group(
        word("menu", "Compute"),
        (
            _place(
                word("menu", "Entitlements"),
                "/entitlements",
                "key",
                R.IMPLEMENTING_AGENCY,
                R.OPERATOR,
                R.DEVELOPER,
                R.AUDITOR,
            ),
            _place(word("menu", "Jobs"), "/jobs", "code", R.OPERATOR, R.DEVELOPER, R.AUDITOR),
            _place(word("menu", "Joint computing"), "/joint", "plug-connected", R.OPERATOR, R.DEVELOPER, R.AUDITOR),
            _place(
                word("menu", "Outputs"),
                "/outputs",
                "database-export",
                R.OPERATOR,
                R.DEVELOPER,
                R.REVIEWER,
                R.AUDITOR,
            ),
            _place(word("menu", "Releases"), "/releases", "rubber-stamp", R.OPERATOR, R.AUDITOR),
        ),
    ),
    Group(
        word("menu", "Market"),
        (
            _place(word("menu", "Products"), "/products", "package", R.OPERATOR, R.IMPLEMENTING_AGENCY, R.AUDITOR),
            _place(word("menu", "Market"), "/market", "shopping-cart", *_EVERYBODY),
            _place(
                word("menu", "Orders"),
                "/orders",
                "clipboard-list",
                R.OPERATOR,
                R.CONSUMER,
                R.IMPLEMENTING_AGENCY,
                R.AUDITOR,
            ),
            _place(
                word("menu", "Contracts"),
                "/contracts",
                "file-certificate",
                R.OPERATOR,
                R.CONSUMER,
                R.IMPLEMENTING_AGENCY,
                R.AUDITOR,
            ),
            _place(word("menu", "Copies"), "/copies", "fingerprint", R.OPERATOR),
            _place(word("menu", "Consents"), "/consents", "user-check", R.OPERATOR, R.CONSUMER, R.AUDITOR),
            _place(
                word("menu", "Statements"),
                "/statements",
                "report-money",
                R.SUPPLIER,
                R.OPERATOR,
                R.CONSUMER,
                R.IMPLEMENTING_AGENCY,
                R.AUDITOR,
            ),
        ),
    ),
    Group(
        word("menu", "Oversight"),
        (
            _place(word("menu", "Lifelines"), "/lifelines", "topology-star", R.AUDITOR, R.IMPLEMENTING_AGENCY),
            _place(word("menu", "Audit log"), "/audit", "timeline", R.AUDITOR, R.PLATFORM_ADMINISTRATOR),
        ),
    ),
    Group(
        word("menu", "Platform"),
        (
            _place(
                word("menu", "Gateways"),
                "/gateways",
                "activity",
                R.PLATFORM_ADMINISTRATOR,
                R.IMPLEMENTING_AGENCY,
                R.OPERATOR,
                R.AUDITOR,
            ),
            _place(word("menu", "Parties and people"), "/parties", "users", R.PLATFORM_ADMINISTRATOR),
            _place(word("menu", "Clock"), "/clock", "clock", R.PLATFORM_ADMINISTRATOR),
        ),
    ),
    Group(
        word("menu", "Public"),
        (
            _place(word("menu", "Portal"), "/portal", "building-community", *_EVERYBODY),
            _place(word("menu", "Verify a registration"), "/portal/verify", "zoom-check", *_EVERYBODY),
            _place(word("menu", "My consent"), "/portal/consent", "user-check", *_EVERYBODY),
        ),
    ),
)


def groups_for(roles: frozenset[Role], *, is_known: bool) -> tuple[Group, ...]:
    """Return the menu of somebody with ``roles``; empty groups are left out."""
    wanted = roles if is_known else frozenset({Role.PUBLIC})
    groups = (Group(group.title, tuple(p for p in group.places if p.roles & wanted)) for group in GROUPS)
    return tuple(group for group in groups if group.places)
