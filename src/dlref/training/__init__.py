"""Training: loops around an optimizer, from one epoch to a search over many runs."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
