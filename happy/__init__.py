"""Happy Server: relays end-to-end encrypted coding sessions between a person's devices."""

__version__ = "0.1.0"
