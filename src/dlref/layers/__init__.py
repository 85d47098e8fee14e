"""Layers: functions of an input and its weights, from dense to attention."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
