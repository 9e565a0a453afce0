"""Networks that grow while they train: schedules, and the callback that applies them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
