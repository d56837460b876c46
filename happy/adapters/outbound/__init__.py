"""Adapters to other companies' services."""
