"""The realtime channel of protocol: realtime#transport-settings."""
