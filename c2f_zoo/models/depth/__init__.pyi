from .depth_unet import DepthUNet as DepthUNet
