"""Moving in: rows of other databases, whatever they come as, go through a scratch file into this database."""
