"""What a user asks of a model: verbs that take images of any size and kind."""

from c2f_zoo import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
