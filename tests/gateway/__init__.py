"""Tests of the realtime gateway."""
