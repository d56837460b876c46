"""The documentation that the server serves of its own endpoints."""
