"""The PostgreSQL store: addresses, TLS, pool, group commit of appends, take-over of existing databases."""
