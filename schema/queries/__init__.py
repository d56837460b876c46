"""Every query of the server, one module per noun, compiled for both databases by `make schema`.

An UPPER_CASE name is a SQLAlchemy Core statement, or a function that takes the dialect's own `insert` (for
`ON CONFLICT`) and returns one. Values are named `bindparam`s; constants end up in the SQL text.
"""
