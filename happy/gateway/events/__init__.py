"""What the events of clients do: one file per noun."""
