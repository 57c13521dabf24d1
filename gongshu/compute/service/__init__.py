"""What governed compute offers to the rooms above and to its entry points."""

from gongshu.compute.service.agreeing import (
    JointHalf,
    JointTerms,
    answer_joint,
    confirm_joint,
    fingerprint_of,
    get_joint,
    joint_fingerprint,
    joint_letter,
    list_joint,
    progress_of,
    propose_joint,
    read_letter,
    run_joint_again,
    withdraw_joint,
)
from gongshu.compute.service.budgets import BudgetStatement, can_add_noise, read_budget
from gongshu.compute.service.deriving import create_derived, drop_derived, list_derived
from gongshu.compute.service.governing import explain, read_parameters
from gongshu.compute.service.programs import Submission, program_columns, submit_python, try_python
from gongshu.compute.service.reading import (
    get_job,
    job_in,
    job_lineage,
    list_jobs,
    output_folder,
    stop_under_in,
    waiting_jobs,
    waiting_joint_jobs,
)
from gongshu.compute.service.running import fail_job, run_job
from gongshu.compute.service.submitting import submit_lookup, submit_sql, submit_verification
from gongshu.compute.service.tagging import missing_keys, open_tags, record_bytes, subject_form
from gongshu.compute.service.trying import synthetic_rows, try_on_synthetic
from gongshu.compute.service.verifying import (
    ArtifactInvalid,
    hash_key,
    missing_fields,
    normalise,
    open_lookup,
)
from gongshu.compute.service.weighing import forget_groups

__all__ = [
    "ArtifactInvalid",
    "BudgetStatement",
    "JointHalf",
    "JointTerms",
    "Submission",
    "answer_joint",
    "can_add_noise",
    "confirm_joint",
    "create_derived",
    "drop_derived",
    "explain",
    "fail_job",
    "fingerprint_of",
    "forget_groups",
    "get_job",
    "get_joint",
    "hash_key",
    "job_in",
    "job_lineage",
    "joint_fingerprint",
    "joint_letter",
    "list_derived",
    "list_jobs",
    "list_joint",
    "missing_fields",
    "missing_keys",
    "normalise",
    "open_lookup",
    "open_tags",
    "output_folder",
    "program_columns",
    "progress_of",
    "propose_joint",
    "read_budget",
    "read_letter",
    "read_parameters",
    "record_bytes",
    "run_job",
    "run_joint_again",
    "stop_under_in",
    "subject_form",
    "submit_lookup",
    "submit_python",
    "submit_sql",
    "submit_verification",
    "synthetic_rows",
    "try_on_synthetic",
    "try_python",
    "waiting_jobs",
    "waiting_joint_jobs",
    "withdraw_joint",
]
