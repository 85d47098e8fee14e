"""What happens to data before a model sees it, and the data sets by which models are known."""

from typing import TYPE_CHECKING, Any

from dlref._family import gather

__all__ = gather(__name__, __path__, globals())

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # the gathered names, for tools that do not run the line above
