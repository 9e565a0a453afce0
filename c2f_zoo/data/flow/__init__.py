"""Data sets of optical flow in their published layouts, augmentation, and pictures of flow."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
