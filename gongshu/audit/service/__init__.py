"""What the log offers to the rooms above and to the entry points."""

from gongshu.audit.service.checking import fsck
from gongshu.audit.service.proving import proof_text, prove, prove_consistency, read_log_file, read_proof, write_proof
from gongshu.audit.service.recording import changes_since_in, get_entry, list_entries, record, watching
from gongshu.audit.service.sealing import checkpoint, integrate, public_key
from gongshu.audit.service.tracing import read_trace, trace_back, trace_forward

__all__ = [
    "changes_since_in",
    "checkpoint",
    "fsck",
    "get_entry",
    "integrate",
    "list_entries",
    "proof_text",
    "prove",
    "prove_consistency",
    "public_key",
    "read_log_file",
    "read_proof",
    "read_trace",
    "record",
    "trace_back",
    "trace_forward",
    "watching",
    "write_proof",
]
