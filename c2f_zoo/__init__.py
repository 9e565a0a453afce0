"""Coarse-to-fine vision models for Keras 3, how to train them, and trained checkpoints.

Importing the package imports neither Keras nor a framework; the names of `__init__.pyi` are
imported when they are first used.
"""

from c2f_zoo import lazy, registered_names

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
__all__ += ["__version__"]

registered_names.register()
