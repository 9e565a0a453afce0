from .msg_stylegan import (
    MSGStyleGANDiscriminator as MSGStyleGANDiscriminator,
)
from .msg_stylegan import (
    MSGStyleGANGenerator as MSGStyleGANGenerator,
)
from .msggan import (
    MSGDiscriminator as MSGDiscriminator,
)
from .msggan import (
    MSGGenerator as MSGGenerator,
)
from .msggan import (
    image_pyramid as image_pyramid,
)
from .msggan_model import MSGGAN as MSGGAN
from .progan import ProGAN as ProGAN
from .progan import ProGANDiscriminator as ProGANDiscriminator
from .progan import ProGANGenerator as ProGANGenerator
from .style_based import MappingNetwork as MappingNetwork
from .style_based import mix_styles as mix_styles
from .stylegan import StyleGAN as StyleGAN
from .stylegan import (
    StyleGANDiscriminator as StyleGANDiscriminator,
)
from .stylegan import (
    StyleGANGenerator as StyleGANGenerator,
)
from .stylegan2 import StyleGAN2 as StyleGAN2
from .stylegan2 import (
    StyleGAN2Discriminator as StyleGAN2Discriminator,
)
from .stylegan2 import (
    StyleGAN2Generator as StyleGAN2Generator,
)
