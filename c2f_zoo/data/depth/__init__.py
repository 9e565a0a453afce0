"""Images with depth in their published layouts, batches and pictures of them."""

from c2f_zoo import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
