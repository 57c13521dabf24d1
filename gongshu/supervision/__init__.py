"""The regulator's view: the lifeline of an object, from a call back to the law article and forward to every yuan."""
