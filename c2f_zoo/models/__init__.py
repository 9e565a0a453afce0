"""Architectures, one file each, readable beside their papers."""

from c2f_zoo.models.gans import MSGGAN, ProGAN, StyleGAN, StyleGAN2
from c2f_zoo.models.inception import InceptionV3Features
from c2f_zoo.models.msg_stylegan import MSGStyleGANDiscriminator, MSGStyleGANGenerator
from c2f_zoo.models.msggan import MSGDiscriminator, MSGGenerator, image_pyramid
from c2f_zoo.models.multiscale_unet import MultiscaleUNet
from c2f_zoo.models.progan import ProGANDiscriminator, ProGANGenerator
from c2f_zoo.models.pwcnet import PWCNet
from c2f_zoo.models.restoration_measure import (
    RestorationProtocol,
    figures_of,
    measure_restoration,
)
from c2f_zoo.models.restoration_nets import RestorationResNet, SRParaConvNet
from c2f_zoo.models.style_based import MappingNetwork, mix_styles
from c2f_zoo.models.stylegan import StyleGANDiscriminator, StyleGANGenerator
from c2f_zoo.models.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator

__all__ = [
    "MSGGAN",
    "InceptionV3Features",
    "MSGDiscriminator",
    "MSGGenerator",
    "MSGStyleGANDiscriminator",
    "MSGStyleGANGenerator",
    "MappingNetwork",
    "MultiscaleUNet",
    "PWCNet",
    "ProGAN",
    "ProGANDiscriminator",
    "ProGANGenerator",
    "RestorationProtocol",
    "RestorationResNet",
    "SRParaConvNet",
    "StyleGAN",
    "StyleGAN2",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "StyleGANDiscriminator",
    "StyleGANGenerator",
    "figures_of",
    "image_pyramid",
    "measure_restoration",
    "mix_styles",
]
