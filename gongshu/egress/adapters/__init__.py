"""The files of outputs and releases. These modules touch rows; what they return are digests, counts and previews."""
