"""Handlers of the events that clients send: one file per noun."""
