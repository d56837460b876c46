"""End to end: a real server process and the clients people have installed."""
