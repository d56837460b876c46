"""Measure a running server: `make bench`, or `python -m tests.bench --help`."""
