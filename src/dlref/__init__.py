"""Deep-learning terms as executable reference implementations.

Each family is a package: ``from dlref.activations import relu``. Families are imported when they are first touched,
and kernels are compiled when they are first called.
"""

import importlib
import importlib.metadata
import pkgutil

__version__ = importlib.metadata.version("dlref")
__all__ = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"dlref.{name}")
    raise AttributeError(f"dlref has no family named {name!r}; there are {', '.join(__all__)}")


def __dir__():
    return [*__all__, "__version__"]
