"""Models: networks as functions of their parameters, put together from layers."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
