"""Pure decisions: the algebra of uses, masks as SQL, and the decision on one use under a contract."""
