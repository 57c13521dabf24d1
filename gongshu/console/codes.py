"""What the pages call codes that are no enumerations: kinds of objects, checks, defences, purposes, duties."""

from gongshu.console.labels import Word, word

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
    "consent": word("object", "Consent"),
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
    "keyed-hashes": word("defence", "Keyed hashes only"),
    "enciphered-records": word("defence", "Each record enciphered for itself"),
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
    "definition": word("check name", "Definition of what is asked and answered"),
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
