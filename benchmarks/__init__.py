"""Measurements of speed and memory, side by side with nginx and with real clients; no part of the tests.

What counts is the ratio of two things measured in turn, in one run on one machine: absolute numbers say little on a
shared one. `scripts/bench` runs them; docs/performance.md keeps the last honest table.
"""
