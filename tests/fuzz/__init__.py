"""What no client would send, in quantities; the same cases in every run."""
