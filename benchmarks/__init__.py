"""Benchmarks of speed, mostly as ratios within one run on one machine; never part of the tests."""
