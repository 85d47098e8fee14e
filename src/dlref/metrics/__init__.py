"""Metrics: what is reported of a model in classification, detection and translation."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
