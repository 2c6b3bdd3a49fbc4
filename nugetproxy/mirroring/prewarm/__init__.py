"""Prewarm: fetch what projects need ahead of time, and prove that nothing is missing.

`plan` finds out which packages are wanted and by whom, `run` fetches them, `lookup` answers the questions of the
dependency resolver from a feed. Reading project files belongs to `nuget.projects`, resolving to `nuget.closure`.
"""
