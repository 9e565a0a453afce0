from .depth import DepthUNet as DepthUNet
from .gans import (
    MSGGAN as MSGGAN,
    MappingNetwork as MappingNetwork,
    MSGDiscriminator as MSGDiscriminator,
    MSGGenerator as MSGGenerator,
    MSGStyleGANDiscriminator as MSGStyleGANDiscriminator,
    MSGStyleGANGenerator as MSGStyleGANGenerator,
    ProGAN as ProGAN,
    ProGANDiscriminator as ProGANDiscriminator,
    ProGANGenerator as ProGANGenerator,
    StyleGAN as StyleGAN,
    StyleGAN2 as StyleGAN2,
    StyleGAN2Discriminator as StyleGAN2Discriminator,
    StyleGAN2Generator as StyleGAN2Generator,
    StyleGANDiscriminator as StyleGANDiscriminator,
    StyleGANGenerator as StyleGANGenerator,
    image_pyramid as image_pyramid,
    mix_styles as mix_styles,
)
from .inception import InceptionV3Features as InceptionV3Features
from .psmnet import (
    PSMNet as PSMNet,
    PSMNetLite as PSMNetLite,
)
from .pwcnet import (
    PWCNet as PWCNet,
    PWCNetLite as PWCNetLite,
)
from .raft import RAFT as RAFT
from .restoration import (
    MultiscaleUNet as MultiscaleUNet,
    RestorationResNet as RestorationResNet,
    SRParaConvNet as SRParaConvNet,
)
