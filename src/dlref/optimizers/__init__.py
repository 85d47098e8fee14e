"""Optimizers: one step from parameters, gradient and state to the next parameters and state."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
