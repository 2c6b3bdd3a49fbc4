"""How Hypothesis runs on this floor."""

from hypothesis import settings

# A busy machine is no bug: what must be cheap is counted or bounded by a test of its own.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
