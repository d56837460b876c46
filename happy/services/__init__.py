"""Use cases: one class per noun, one public method per thing a client can ask for."""
