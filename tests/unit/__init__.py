"""Rules and small parts, without sockets or processes."""
