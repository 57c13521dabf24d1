"""Pure parts of the way out: automatic checks over counts, and the decisions of author, reviewers and operator."""
