"""Schedules: the learning rate as a function of the step."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
