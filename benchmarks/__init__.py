"""Measurements of speed and memory, side by side with nginx and with real clients; not part of the tests.

What matters is the ratio of two things measured alternately, in one run on one machine: absolute numbers say little
on a shared one. `scripts/bench` runs them; docs/performance.md has the latest results.
"""
