"""Adapters to the outside against small servers that answer as the real ones do, and as they should not."""
