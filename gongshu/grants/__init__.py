"""Plan, agreement and the Grant (授权): who may do what with which columns, for what, until when, at what price.

Everything later is derived from the grant, and nothing later may widen it.
"""
