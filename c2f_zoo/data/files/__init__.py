"""File formats, one a file: flow, images, 16-bit PNG, video, and atomic writing."""

from c2f_zoo import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
