"""The Sphinx extension of the site: each module here that has a ``setup`` is one piece of it."""

import importlib
import pkgutil


def setup(app):
    for info in pkgutil.iter_modules(__path__):
        if info.name == "shell":
            continue  # the pages' side: it imports all that pages need, once, in a process of its own
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "setup"):
            app.setup_extension(module.__name__)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
