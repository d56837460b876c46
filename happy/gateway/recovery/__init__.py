"""Socket.IO's connection state recovery: tokens, history, replay, on any replica."""
