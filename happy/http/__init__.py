"""The HTTP API of contract 01."""
