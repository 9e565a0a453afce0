from .multiscale_unet import MultiscaleUNet as MultiscaleUNet
from .networks import RestorationResNet as RestorationResNet, SRParaConvNet as SRParaConvNet
