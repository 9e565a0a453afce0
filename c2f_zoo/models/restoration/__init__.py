"""Networks that restore images: the multiscale U-Net, the residual network, SRParaConvNet."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
