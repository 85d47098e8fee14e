"""What happens to data before a model sees it, and the data sets by which models are known."""

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())
