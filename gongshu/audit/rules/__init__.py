"""Pure parts of the log: Merkle hashing and proofs, tiles, signed notes, the encoding of entries, and traces."""
