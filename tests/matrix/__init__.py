"""Every endpoint and every event against every identity that may not do what it asks."""
