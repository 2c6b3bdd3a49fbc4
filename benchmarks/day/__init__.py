"""A company's day: a mirror of 100,000 packages under the traffic of its restores, against nginx. See `measure`."""
