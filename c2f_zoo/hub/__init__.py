"""Presets: where a name leads, loading, saving, model cards, and publishing on the Hub."""

from c2f_zoo import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
