"""Usage records: appended before the answer leaves, sealed into segments, hashed into the audit log, read once."""
