from .msg_progan import (
    MSGDiscriminator as MSGDiscriminator,
    MSGGenerator as MSGGenerator,
    image_pyramid as image_pyramid,
)
from .msg_stylegan import (
    MSGStyleGANDiscriminator as MSGStyleGANDiscriminator,
    MSGStyleGANGenerator as MSGStyleGANGenerator,
)
from .msggan import MSGGAN as MSGGAN
from .progan import (
    ProGAN as ProGAN,
    ProGANDiscriminator as ProGANDiscriminator,
    ProGANGenerator as ProGANGenerator,
)
from .style_based import MappingNetwork as MappingNetwork, mix_styles as mix_styles
from .stylegan import (
    StyleGAN as StyleGAN,
    StyleGANDiscriminator as StyleGANDiscriminator,
    StyleGANGenerator as StyleGANGenerator,
)
from .stylegan2 import (
    StyleGAN2 as StyleGAN2,
    StyleGAN2Discriminator as StyleGAN2Discriminator,
    StyleGAN2Generator as StyleGAN2Generator,
)
