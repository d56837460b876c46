"""What replicas share through Redis: the bus, history, presence, publish intents."""
