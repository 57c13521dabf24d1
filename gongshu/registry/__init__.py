"""Registration (登记) of resources under 26号: accept, formal review, publicity, code, with working-day clocks."""
