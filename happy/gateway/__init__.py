"""The realtime channel of contract 02."""
