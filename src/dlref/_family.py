"""A family is a package whose names are those of its topic modules; nobody keeps a list."""

import importlib
import pkgutil


def gather(package, path, namespace):
    """Import the topic modules of ``package``, put their public names into ``namespace`` and return them, sorted."""
    names = []
    for info in pkgutil.iter_modules(path):
        module = importlib.import_module(f"{package}.{info.name}")
        for name in module.__all__:
            if name in names:
                raise ImportError(f"{package}: {name} is defined twice, the second time in {info.name}.py")
            names.append(name)
            namespace[name] = getattr(module, name)
    return sorted(names)
