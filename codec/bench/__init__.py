"""Benchmarks of the codec, each beside a peer measured in the same run."""
