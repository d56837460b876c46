"""Repositories written once for both databases."""
