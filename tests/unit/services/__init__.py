"""Use cases on the light store, with a clock that the test moves."""
