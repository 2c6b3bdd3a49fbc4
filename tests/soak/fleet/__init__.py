"""Rounds of mixed work on a fleet of three nodes, with kills and partitions, whose history is checked."""
