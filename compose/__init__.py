"""Running the server: container files, and what `make run-full` does."""
