"""Hypothesis settings for this floor."""

from hypothesis import settings

# A busy machine is not a bug: separate tests count or bound what must be cheap.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
