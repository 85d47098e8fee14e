"""Losses: how far a prediction is from the truth, and the entropies behind them."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
