"""Use cases: one class per noun, one public method per request of a client."""
