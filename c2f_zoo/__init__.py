"""Coarse-to-fine vision models for Keras 3, how to train them, and trained checkpoints.

Importing the package imports neither Keras nor a framework; the names of `__init__.pyi` are
imported when they are first used.
"""

import lazy_loader

from c2f_zoo import registered_names

__version__ = "0.1.0"

_import_name, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

registered_names.register()


def __getattr__(name):
    if name in __all__:
        return _import_name(name)
    from c2f_zoo.checks import suggestion

    near = suggestion(name, __all__)
    raise AttributeError(f"module 'c2f_zoo' has no such name.{near} Received: {name!r}")
