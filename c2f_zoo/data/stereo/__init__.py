"""Stereo pairs with ground truth in their published layouts, calibration, pictures."""

from c2f_zoo import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
