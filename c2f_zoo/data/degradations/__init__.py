"""What restoration networks undo: noise, blur, JPEG, smaller sizes, holes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
