"""The HTTP API of protocol: http#pipeline-and-conventions."""
