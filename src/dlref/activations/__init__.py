"""Activation functions: elementwise maps between layers, and softmax over an axis."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
