"""Tests of the realtime engine, over real sockets."""
