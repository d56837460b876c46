"""Adapters to services of other companies."""
