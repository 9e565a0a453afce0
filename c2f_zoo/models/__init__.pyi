from .gans import (
    MSGGAN as MSGGAN,
)
from .gans import (
    MappingNetwork as MappingNetwork,
)
from .gans import (
    MSGDiscriminator as MSGDiscriminator,
)
from .gans import (
    MSGGenerator as MSGGenerator,
)
from .gans import (
    MSGStyleGANDiscriminator as MSGStyleGANDiscriminator,
)
from .gans import (
    MSGStyleGANGenerator as MSGStyleGANGenerator,
)
from .gans import (
    ProGAN as ProGAN,
)
from .gans import (
    ProGANDiscriminator as ProGANDiscriminator,
)
from .gans import (
    ProGANGenerator as ProGANGenerator,
)
from .gans import (
    StyleGAN as StyleGAN,
)
from .gans import (
    StyleGAN2 as StyleGAN2,
)
from .gans import (
    StyleGAN2Discriminator as StyleGAN2Discriminator,
)
from .gans import (
    StyleGAN2Generator as StyleGAN2Generator,
)
from .gans import (
    StyleGANDiscriminator as StyleGANDiscriminator,
)
from .gans import (
    StyleGANGenerator as StyleGANGenerator,
)
from .gans import (
    image_pyramid as image_pyramid,
)
from .gans import (
    mix_styles as mix_styles,
)
from .inception import InceptionV3Features as InceptionV3Features
from .pwcnet import (
    PWCNet as PWCNet,
)
from .pwcnet import (
    PWCNetLite as PWCNetLite,
)
from .restoration import (
    MultiscaleUNet as MultiscaleUNet,
)
from .restoration import (
    RestorationResNet as RestorationResNet,
)
from .restoration import (
    SRParaConvNet as SRParaConvNet,
)
