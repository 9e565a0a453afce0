"""File formats, one a file: flow, images, 16-bit PNG, video, and atomic writing."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
