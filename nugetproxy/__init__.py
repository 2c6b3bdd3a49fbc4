"""A caching pull-through proxy and mirror of nuget.org."""

__version__ = "0.1.0"
