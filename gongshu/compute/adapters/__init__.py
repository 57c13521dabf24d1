"""The outside of governed compute: projections on disk, the sandboxed engine, artifacts, folders."""
