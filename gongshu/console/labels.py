"""What the pages call each status, role and use, and the colour that goes with it.

``label_of`` is complete: a test fails when an enum gains a member without a word.
"""

from enum import Enum

from gongshu.access.types import Role
from gongshu.audit.types import Outcome
from gongshu.billing.types import DisputeStatus, LineKind, ShareKind
from gongshu.catalog.types import DataType, Dimension, Fault, Meaning
from gongshu.compute.types import Engine, JobKind, JobStatus, JointKind, JointLearners, JointStatus
from gongshu.egress.types import CheckVerdict, OutputStatus, ReviewKind
from gongshu.grants.types import (
    AgreementStatus,
    DisposalKind,
    GrantStatus,
    Mode,
    PlanStatus,
    ProductClass,
    Right,
    SelectionMethod,
)
from gongshu.metering.types import ResultCode
from gongshu.policies.types import Grade, MaskKind, NoiseMechanism, RoundingMethod, Use
from gongshu.products.types import ContractStatus, ListingStatus, OrderStatus, ProductKind, ProductStatus, TierMethod
from gongshu.registry.types import CancellationGround, RegistrationStatus
from gongshu.scenarios.types import EntitlementStatus, ScenarioStatus

Word = tuple[str, str]


def word(context: str, text: str) -> Word:
    """Mark a word for translation in its context; read by the extraction of the catalogs."""
    return context, text


def sentence(text: str) -> str:
    """Mark a sentence that is translated later; read by the extraction of the catalogs."""
    return text


_LABELS: tuple[tuple[Enum, Word], ...] = (
    (Role.SUPPLIER, word("role", "Data supplier")),
    (Role.REGISTRAR, word("role", "Registrar")),
    (Role.AUTHORISING_BODY, word("role", "Authorising body")),
    (Role.IMPLEMENTING_AGENCY, word("role", "Implementing agency")),
    (Role.OPERATOR, word("role", "Operator")),
    (Role.ASSESSOR, word("role", "Assessor")),
    (Role.DEVELOPER, word("role", "Developer")),
    (Role.REVIEWER, word("role", "Output reviewer")),
    (Role.CONSUMER, word("role", "Data consumer")),
    (Role.AUDITOR, word("role", "Auditor")),
    (Role.PLATFORM_ADMINISTRATOR, word("role", "Platform administrator")),
    (Role.PUBLIC, word("role", "Public")),
    (RoundingMethod.NEAREST, word("rounding", "nearest")),
    (RoundingMethod.MIDPOINT, word("rounding", "midpoint")),
    (NoiseMechanism.LAPLACE, word("noise", "Laplace")),
    (NoiseMechanism.GAUSSIAN, word("noise", "Gaussian")),
    (Use.REVEAL, word("use", "Reveal")),
    (Use.GROUP, word("use", "Group")),
    (Use.TOTAL, word("use", "Total")),
    (Use.RANK, word("use", "Rank")),
    (Use.JOIN, word("use", "Join")),
    (Use.FILTER, word("use", "Filter")),
    (Use.COMPARE, word("use", "Compare")),
    (Grade.DIRECT_IDENTIFIER, word("grade", "Direct identifier")),
    (Grade.SENSITIVE, word("grade", "Sensitive")),
    (Grade.QUASI_IDENTIFIER, word("grade", "Quasi-identifier")),
    (Grade.ORDINARY, word("grade", "Ordinary")),
    (Grade.OPEN, word("grade", "Openly published")),
    (MaskKind.NAME, word("mask", "Name: first character kept")),
    (MaskKind.ID_CARD, word("mask", "Identity card: 6 + 4 kept")),
    (MaskKind.PHONE, word("mask", "Phone: 3 + 4 kept")),
    (MaskKind.ADDRESS_DISTRICT, word("mask", "Address: down to the district")),
    (MaskKind.BANK_CARD, word("mask", "Bank card: last 4 kept")),
    (MaskKind.MAILBOX, word("mask", "Mailbox: domain kept")),
    (MaskKind.MONTH, word("mask", "Date: month kept")),
    (MaskKind.BAND, word("mask", "Number: banded")),
    (MaskKind.KEYED_HASH, word("mask", "Keyed hash")),
    (MaskKind.PSEUDONYM, word("mask", "Pseudonym: format kept")),
    (DataType.TEXT, word("type", "Text")),
    (DataType.INTEGER, word("type", "Integer")),
    (DataType.DECIMAL, word("type", "Decimal")),
    (DataType.DATE, word("type", "Date")),
    (DataType.TIMESTAMP, word("type", "Time")),
    (DataType.BOOLEAN, word("type", "Yes or no")),
    (Meaning.CREDIT_CODE, word("meaning", "Credit code")),
    (Meaning.ID_CARD, word("meaning", "Identity card")),
    (Meaning.PHONE, word("meaning", "Phone")),
    (Meaning.PERSON_NAME, word("meaning", "Person's name")),
    (Meaning.ORGANISATION_NAME, word("meaning", "Organisation's name")),
    (Meaning.ADDRESS, word("meaning", "Address")),
    (Meaning.BANK_CARD, word("meaning", "Bank card")),
    (Meaning.MAILBOX, word("meaning", "Mailbox")),
    (Meaning.DATE, word("meaning", "Date")),
    (Meaning.AMOUNT, word("meaning", "Amount")),
    (Meaning.CURRENCY, word("meaning", "Currency")),
    (Meaning.REGION, word("meaning", "Region")),
    (Meaning.CATEGORY, word("meaning", "Category")),
    (Meaning.FREE_TEXT, word("meaning", "Free text")),
    (Meaning.NUMBER, word("meaning", "Number")),
    (Meaning.UNKNOWN, word("meaning", "Not recognised")),
    (Dimension.NORMATIVITY, word("quality", "Conformity")),
    (Dimension.COMPLETENESS, word("quality", "Completeness")),
    (Dimension.ACCURACY, word("quality", "Accuracy")),
    (Dimension.CONSISTENCY, word("quality", "Consistency")),
    (Dimension.TIMELINESS, word("quality", "Timeliness")),
    (Dimension.ACCESSIBILITY, word("quality", "Accessibility")),
    (Fault.FIELD_COUNT, word("fault", "Number of fields differs from the header")),
    (Fault.BROKEN_QUOTE, word("fault", "Broken quote")),
    (Fault.UNCLOSED_QUOTE, word("fault", "Quote never closed")),
    (Fault.UNDECODABLE, word("fault", "Bytes that are no text")),
    (Fault.NUL_BYTE, word("fault", "NUL byte")),
    (Fault.LONE_CARRIAGE_RETURN, word("fault", "Lone carriage return")),
    (Fault.EMPTY_LINE, word("fault", "Empty line")),
    (Fault.LINE_TOO_LONG, word("fault", "Line too long")),
    (Fault.FIELD_TOO_LONG, word("fault", "Field too long")),
    (RegistrationStatus.SUBMITTED, word("registration", "Submitted")),
    (RegistrationStatus.RETURNED, word("registration", "Returned for supplement")),
    (RegistrationStatus.ACCEPTED, word("registration", "Accepted, under review")),
    (RegistrationStatus.PUBLICITY, word("registration", "In publicity")),
    (RegistrationStatus.OBJECTED, word("registration", "Objection under re-check")),
    (RegistrationStatus.TERMINATED, word("registration", "Terminated")),
    (RegistrationStatus.CODED, word("registration", "Coded")),
    (RegistrationStatus.CANCELLED, word("registration", "Cancelled")),
    (RegistrationStatus.LAPSED, word("registration", "Lapsed")),
    (CancellationGround.LOST, word("ground", "Data lost for good")),
    (CancellationGround.RIGHTS_ENDED, word("ground", "Rights given up or expired")),
    (CancellationGround.REGISTRANT_ENDED, word("ground", "The registrant has ended")),
    (CancellationGround.BY_LAW, word("ground", "Other ground in law")),
    (Mode.WHOLE, word("mode", "Whole")),
    (Mode.DOMAIN, word("mode", "By domain")),
    (Mode.SCENARIO, word("mode", "By scenario")),
    (Right.HOLD, word("right", "Hold data resources")),
    (Right.PROCESS, word("right", "Process and use data")),
    (Right.OPERATE, word("right", "Operate data products")),
    (ProductClass.PUBLIC, word("product class", "Public welfare, free of charge")),
    (ProductClass.INDUSTRIAL, word("product class", "Industrial, may charge")),
    (SelectionMethod.OPEN_TENDER, word("selection", "Open tender")),
    (SelectionMethod.INVITED_TENDER, word("selection", "Invited tender")),
    (SelectionMethod.NEGOTIATION, word("selection", "Negotiation")),
    (PlanStatus.DRAFT, word("plan", "Draft")),
    (PlanStatus.SUBMITTED, word("plan", "Submitted")),
    (PlanStatus.EFFECTIVE, word("plan", "Effective")),
    (PlanStatus.REJECTED, word("plan", "Rejected")),
    (AgreementStatus.DRAFT, word("agreement", "Draft")),
    (AgreementStatus.PROPOSED, word("agreement", "Proposed")),
    (AgreementStatus.SIGNED_BY_AGENCY, word("agreement", "Signed by the agency")),
    (AgreementStatus.EFFECTIVE, word("agreement", "Effective")),
    (AgreementStatus.ENDED, word("agreement", "Ended")),
    (GrantStatus.ACTIVE, word("grant", "In force")),
    (GrantStatus.ENDED, word("grant", "Ended")),
    (DisposalKind.ARTIFACT, word("disposal", "Product artifact")),
    (DisposalKind.OUTPUT, word("disposal", "Output")),
    (DisposalKind.KEY, word("disposal", "Key")),
    (DisposalKind.CONTRACT, word("disposal", "Contract")),
    (DisposalKind.JOB, word("disposal", "Job")),
    (DisposalKind.ENTITLEMENT, word("disposal", "Entitlement")),
    (ScenarioStatus.SUBMITTED, word("scenario", "Under assessment")),
    (ScenarioStatus.SCORED, word("scenario", "Scored, awaiting decision")),
    (ScenarioStatus.APPROVED, word("scenario", "Approved")),
    (ScenarioStatus.REJECTED, word("scenario", "Rejected")),
    (EntitlementStatus.ACTIVE, word("entitlement", "In force")),
    (EntitlementStatus.ENDED, word("entitlement", "Ended")),
    (Engine.DUCKDB, word("engine", "DuckDB, on this machine")),
    (Engine.SPARK, word("engine", "Spark cluster")),
    (JobKind.SQL, word("job kind", "Governed SQL")),
    (JobKind.VERIFICATION, word("job kind", "Verification")),
    (JobKind.PYTHON, word("job kind", "Python program")),
    (JobKind.JOINT, word("job kind", "Joint computing")),
    (JointKind.INTERSECTION, word("joint kind", "Intersection")),
    (JointKind.COUNT, word("joint kind", "Count of the intersection")),
    (JointKind.SUMS, word("joint kind", "Count and sum over the intersection")),
    (JointLearners.PROPOSER, word("joint learners", "The proposer")),
    (JointLearners.PEER, word("joint learners", "The peer")),
    (JointLearners.BOTH, word("joint learners", "Both")),
    (JointStatus.PROPOSED, word("joint", "Proposed, awaiting the answer")),
    (JointStatus.ANSWERED, word("joint", "Answered, awaiting confirmation")),
    (JointStatus.AGREED, word("joint", "Agreed by both")),
    (JointStatus.SPENT, word("joint", "The nodes have met")),
    (JointStatus.WITHDRAWN, word("joint", "Withdrawn")),
    (JobStatus.SUBMITTED, word("job", "Waiting to run")),
    (JobStatus.RUNNING, word("job", "Running")),
    (JobStatus.SUCCEEDED, word("job", "Done")),
    (JobStatus.FAILED, word("job", "Failed")),
    (JobStatus.STOPPED, word("job", "Stopped")),
    (OutputStatus.QUARANTINED, word("output", "In quarantine")),
    (OutputStatus.IN_REVIEW, word("output", "In review")),
    (OutputStatus.APPROVED, word("output", "Approved")),
    (OutputStatus.RELEASED, word("output", "Released")),
    (OutputStatus.REJECTED, word("output", "Rejected")),
    (OutputStatus.VOID, word("output", "Void: bytes changed")),
    (OutputStatus.STOPPED, word("output", "Stopped with its grant")),
    (ReviewKind.SECURITY, word("review", "Security review")),
    (ReviewKind.CONFORMITY, word("review", "Conformity review")),
    (CheckVerdict.PASS, word("check", "Pass")),
    (CheckVerdict.REVIEW, word("check", "Look closely")),
    (CheckVerdict.FAIL, word("check", "Fail")),
    (ProductKind.VERIFY, word("product kind", "Verification")),
    (ProductKind.TABLE, word("product kind", "Data package")),
    (ProductStatus.ACTIVE, word("product", "Active")),
    (ProductStatus.STOPPED, word("product", "Stopped")),
    (ListingStatus.LISTED, word("listing", "Listed")),
    (ListingStatus.DELISTED, word("listing", "Delisted")),
    (OrderStatus.PLACED, word("order", "Placed")),
    (OrderStatus.CONTRACTED, word("order", "Contracted")),
    (OrderStatus.DECLINED, word("order", "Declined")),
    (ContractStatus.NEGOTIATING, word("contract", "Awaiting the operator's signature")),
    (ContractStatus.SIGNED_BY_OPERATOR, word("contract", "Awaiting the consumer's signature")),
    (ContractStatus.PERFORMING, word("contract", "Performing")),
    (ContractStatus.TERMINATED, word("contract", "Terminated")),
    (ResultCode.MATCH, word("result", "Match")),
    (ResultCode.MISMATCH, word("result", "Mismatch")),
    (ResultCode.NO_RECORD, word("result", "No record")),
    (ResultCode.REFUSED, word("result", "Refused")),
    (ResultCode.ERROR, word("result", "Error")),
    (ShareKind.SUPPLIER, word("share", "Supplier")),
    (ShareKind.TREASURY, word("share", "Treasury")),
    (ShareKind.OPERATOR, word("share", "Operator")),
    (LineKind.USAGE, word("line", "Calls")),
    (LineKind.INCLUDED, word("line", "Calls held by the monthly fee")),
    (LineKind.PREPAID, word("line", "Calls from packs")),
    (LineKind.PERIOD_FEE, word("line", "Monthly fee")),
    (LineKind.CAP, word("line", "Capped at")),
    (LineKind.PACK, word("line", "Prepaid pack")),
    (DisputeStatus.OPEN, word("dispute", "Open")),
    (DisputeStatus.ACCEPTED, word("dispute", "Accepted")),
    (DisputeStatus.REJECTED, word("dispute", "Rejected")),
    (DisputeStatus.WITHDRAWN, word("dispute", "Withdrawn")),
    (TierMethod.MARGINAL, word("tiers", "Each part at its tier's rate")),
    (TierMethod.VOLUME, word("tiers", "All calls at the rate of the tier reached")),
    (Outcome.PERMITTED, word("outcome", "Permitted")),
    (Outcome.DENIED, word("outcome", "Refused")),
)

GOOD, RUNNING, WAITING, BAD, QUIET = "green", "blue", "orange", "red", "secondary"

_TONES: tuple[tuple[str, tuple[Enum, ...]], ...] = (
    (
        WAITING,
        (
            RegistrationStatus.SUBMITTED,
            RegistrationStatus.RETURNED,
            RegistrationStatus.OBJECTED,
            PlanStatus.SUBMITTED,
            AgreementStatus.PROPOSED,
            AgreementStatus.SIGNED_BY_AGENCY,
            ScenarioStatus.SUBMITTED,
            ScenarioStatus.SCORED,
            JobStatus.SUBMITTED,
            JointStatus.PROPOSED,
            JointStatus.ANSWERED,
            OutputStatus.QUARANTINED,
            CheckVerdict.REVIEW,
            DisputeStatus.OPEN,
            OrderStatus.PLACED,
            ContractStatus.NEGOTIATING,
            ContractStatus.SIGNED_BY_OPERATOR,
            ResultCode.MISMATCH,
            Grade.SENSITIVE,
        ),
    ),
    (
        RUNNING,
        (
            RegistrationStatus.ACCEPTED,
            RegistrationStatus.PUBLICITY,
            JobStatus.RUNNING,
            JointStatus.AGREED,
            OutputStatus.IN_REVIEW,
            Grade.ORDINARY,
        ),
    ),
    (
        BAD,
        (
            RegistrationStatus.TERMINATED,
            PlanStatus.REJECTED,
            ScenarioStatus.REJECTED,
            JobStatus.FAILED,
            OutputStatus.REJECTED,
            OutputStatus.VOID,
            CheckVerdict.FAIL,
            OrderStatus.DECLINED,
            ResultCode.REFUSED,
            ResultCode.ERROR,
            Outcome.DENIED,
            Grade.DIRECT_IDENTIFIER,
        ),
    ),
    (
        GOOD,
        (
            RegistrationStatus.CODED,
            PlanStatus.EFFECTIVE,
            AgreementStatus.EFFECTIVE,
            GrantStatus.ACTIVE,
            ScenarioStatus.APPROVED,
            EntitlementStatus.ACTIVE,
            JobStatus.SUCCEEDED,
            JointStatus.SPENT,
            OutputStatus.APPROVED,
            OutputStatus.RELEASED,
            CheckVerdict.PASS,
            ProductStatus.ACTIVE,
            ListingStatus.LISTED,
            OrderStatus.CONTRACTED,
            ContractStatus.PERFORMING,
            ResultCode.MATCH,
            Outcome.PERMITTED,
            Grade.OPEN,
        ),
    ),
    (
        QUIET,
        (
            RegistrationStatus.CANCELLED,
            RegistrationStatus.LAPSED,
            PlanStatus.DRAFT,
            AgreementStatus.DRAFT,
            AgreementStatus.ENDED,
            GrantStatus.ENDED,
            EntitlementStatus.ENDED,
            JobStatus.STOPPED,
            JointStatus.WITHDRAWN,
            OutputStatus.STOPPED,
            ProductStatus.STOPPED,
            ListingStatus.DELISTED,
            ContractStatus.TERMINATED,
            ResultCode.NO_RECORD,
        ),
    ),
    ("yellow", (Grade.QUASI_IDENTIFIER,)),
)
# Members of two enumerations may be equal as texts ("approved"), so the type belongs to the key.
LABELS = {(type(member), member): text for member, text in _LABELS}
TONES = {(type(member), member): tone for tone, members in _TONES for member in members}


def label_of(member: Enum) -> Word:
    """Return what a member of an enumeration is called."""
    return LABELS[type(member), member]


def tone_of(member: Enum) -> str:
    """Return the colour of a member; quiet when it has none."""
    return TONES.get((type(member), member), QUIET)


KINDS: dict[str, Word] = {
    "party": word("object", "Party"),
    "person": word("object", "Person"),
    "resource": word("object", "Resource"),
    "resource_version": word("object", "Resource version"),
    "registration": word("object", "Registration"),
    "plan": word("object", "Plan"),
    "agreement": word("object", "Agreement"),
    "grant": word("object", "Grant"),
    "exit_record": word("object", "Exit record"),
    "scenario": word("object", "Scenario"),
    "entitlement": word("object", "Entitlement"),
    "job": word("object", "Job"),
    "joint_proposal": word("object", "Joint proposal"),
    "joint_task": word("object", "Joint task"),
    "output": word("object", "Output"),
    "review": word("object", "Review"),
    "release": word("object", "Release"),
    "product": word("object", "Product"),
    "listing": word("object", "Listing"),
    "order": word("object", "Order"),
    "contract": word("object", "Contract"),
    "key": word("object", "Key"),
    "segment": word("object", "Usage segment"),
    "call": word("object", "Call"),
    "pack": word("object", "Prepaid pack"),
    "dispute": word("object", "Dispute"),
    "adjustment": word("object", "Adjusting entry"),
    "derived": word("object", "Derived relation"),
    "statement": word("object", "Statement"),
    "snapshot": word("object", "Gateway snapshot"),
    "session": word("object", "Session"),
    "api_token": word("object", "Token"),
    "login": word("object", "Login"),
    "clock": word("object", "Clock"),
    "checkpoint": word("object", "Checkpoint"),
}
"""Kinds of objects as ``Ref.kind`` names them."""

OFFICES: dict[str, Word] = {
    "platform": word("office", "Platform"),
    "treasury": word("office", "Treasury"),
    "public": word("office", "Public"),
}
"""Ids that stand where a party's does, and are none."""

UNITS: dict[str, Word] = {
    "call": word("unit", "call"), "month": word("unit", "month"), "pack": word("unit", "pack"),
}  # fmt: skip
"""Units of what is charged (FOCUS)."""

DEFENCES: dict[str, Word] = {
    "gate": word("defence", "Gate"),
    "bound-plan": word("defence", "Engine's plan compared"),
    "own-session": word("defence", "Session of its own on the cluster"),
    "limits": word("defence", "Limits on memory and time"),
    "declared-columns": word("defence", "Declared columns only"),
    "inspection": word("defence", "Outputs written anew"),
    "namespaces": word("defence", "Sandbox without network"),
    "seccomp": word("defence", "System calls filtered"),
    "joint-protocol": word("defence", "Two-party protocol"),
    "joint-link": word("defence", "Encrypted link, both sides known by certificate"),
    "joint-sandbox": word("defence", "Sandbox with nothing but its keys and the link"),
}
"""Lines of defence that a run went through."""

PURPOSES: dict[str, Word] = {
    "inclusive_finance": word("purpose", "Inclusive finance"),
    "public_service": word("purpose", "Public services"),
}
"""Purposes that have a word; any other code is shown as it is."""

UPDATE_CYCLES: dict[str, Word] = {
    "001": word("cycle", "Real time"),
    "002": word("cycle", "Daily"),
    "003": word("cycle", "Weekly"),
    "004": word("cycle", "Monthly"),
    "005": word("cycle", "Quarterly"),
    "006": word("cycle", "Half-yearly"),
    "007": word("cycle", "Yearly"),
    "008": word("cycle", "Irregular"),
    "009": word("cycle", "Other"),
}
"""How often a resource is updated (NDI-TR-2025-06)."""

THEMES: dict[str, Word] = {
    "A0000": word("theme", "Comprehensive government affairs"),
    "B0000": word("theme", "Economic management"),
    "C0000": word("theme", "Labour and social security"),
    "D0000": word("theme", "Land resources and energy"),
    "E0000": word("theme", "Industry and transport"),
    "F0000": word("theme", "Health"),
    "G0000": word("theme", "Education and science"),
    "H0000": word("theme", "Public security and law"),
    "Z0000": word("theme", "Other"),
}
"""Themes a resource is filed under."""

QUALITY_RULES: dict[str, Word] = {
    "value-present": word("quality rule", "A value is there"),
    "credit-code-check-character": word("quality rule", "Check character of the credit code (MOD 31)"),
    "id-number-check-character": word("quality rule", "Check character of the identity number (MOD 11-2)"),
    "bank-card-luhn": word("quality rule", "Check digit of the bank card"),
    "phone-form": word("quality rule", "Form of the phone number"),
    "mailbox-form": word("quality rule", "Form of the mailbox"),
    "amount-with-unit": word("quality rule", "Amount can be read"),
    "date-plausible": word("quality rule", "Date is plausible"),
    "no-formula": word("quality rule", "No spreadsheet formula"),
    "no-outer-spaces": word("quality rule", "No spaces at the ends"),
    "line-readable": word("quality rule", "Line can be read"),
    "column-name": word("quality rule", "Column names can be used as they are"),
    "file-readable": word("quality rule", "File can be read back"),
    "key-unique": word("quality rule", "Key is unique"),
    "same-columns-as-before": word("quality rule", "Same columns as the version before"),
    "within-update-cycle": word("quality rule", "Updated within its cycle"),
}
"""What the measures of the quality report are called."""

CRITERIA: dict[str, Word] = {
    "public_value": word("criterion", "Public value"),
    "necessity": word("criterion", "Necessity of the data"),
    "safety": word("criterion", "Safety"),
    "feasibility": word("criterion", "Feasibility"),
    "demand": word("criterion", "Demand"),
}
"""The criteria a scenario is scored by (parameter ``scenario.criteria``)."""

CHECKS: dict[str, Word] = {
    "undeclared-file": word("check name", "File that the job did not declare"),
    "no-file": word("check name", "No file"),
    "file-type": word("check name", "Type of file"),
    "file-size": word("check name", "Size of file"),
    "readable": word("check name", "Readable"),
    "rows": word("check name", "Number of rows"),
    "identifiers": word("check name", "Identifiers in cells"),
    "small-numbers": word("check name", "Small numbers"),
    "formulas": word("check name", "Formulas in cells"),
    "source-rows": word("check name", "Resemblance to source rows"),
    "keyed-hashes": word("check name", "Keyed hashes and nothing else"),
    "definition": word("check name", "Definition of the verification"),
    "program-output": word("check name", "Written by a program: for people to read"),
    "packed-text": word("check name", "Long runs that look like packed data"),
    "model-size": word("check name", "Numbers in the model"),
    "model-content": word("check name", "Operators and texts of the model"),
}
"""What the automatic checks of an output are called."""

FACTS: dict[str, Word] = {
    "allowed": word("fact", "allowed"),
    "below": word("fact", "below the minimum"),
    "bytes": word("fact", "bytes"),
    "bytes_max": word("fact", "most bytes"),
    "cells": word("fact", "cells"),
    "columns": word("fact", "columns"),
    "entries": word("fact", "entries"),
    "fields": word("fact", "fields"),
    "kind": word("fact", "kind"),
    "matching": word("fact", "matching rows"),
    "numbers": word("fact", "numbers"),
    "numbers_max": word("fact", "most numbers"),
    "operators": word("fact", "operators"),
    "percent": word("fact", "percent"),
    "relation": word("fact", "relation"),
    "rows": word("fact", "rows"),
    "runs": word("fact", "runs"),
    "texts": word("fact", "texts"),
    "rows_max": word("fact", "most rows"),
    "units_min": word("fact", "fewest units"),
    "zeros": word("fact", "zeros"),
}
"""What the facts of a finding are called."""

DUTIES: dict[str, Word] = {
    "destroy-artifact": word("duty", "Destroy the artifact and prove it"),
    "destroy-files": word("duty", "Destroy the files"),
    "settle-and-confirm-destruction": word("duty", "Settle accounts; the consumer confirms destruction"),
    "delete-secret": word("duty", "Key revoked; delete the secret"),
}
"""What must happen to what stopped with a grant."""

TABLES_OF_WORDS: tuple[dict[str, Word], ...] = (
    KINDS, OFFICES, UNITS, DEFENCES, PURPOSES, UPDATE_CYCLES, THEMES, QUALITY_RULES, CRITERIA, CHECKS, FACTS, DUTIES
)  # fmt: skip
