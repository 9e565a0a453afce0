"""Reading, rendering, augmenting, degrading and showing the data of coarse-to-fine models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
