"""What a user asks of a model: verbs that take images of any size and kind."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
