"""Tests of Happy Server: see docs for how each folder is run."""
