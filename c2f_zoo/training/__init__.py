"""Training from coarse to fine: growth, multilevel gradients, adversarial steps, callbacks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
