"""Curricula for any Keras model: growing resolution, and rates that reach the layers in turn."""

from c2f_zoo import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
