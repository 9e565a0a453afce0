from . import data as data
from . import hub as hub
from . import layers as layers
from . import losses as losses
from . import metrics as metrics
from . import models as models
from . import tasks as tasks
from . import training as training
from .hub import list_presets as list_presets
from .models import MSGGAN as MSGGAN
from .models import MultiscaleUNet as MultiscaleUNet
from .models import ProGAN as ProGAN
from .models import PWCNet as PWCNet
from .models import PWCNetLite as PWCNetLite
from .models import RestorationResNet as RestorationResNet
from .models import SRParaConvNet as SRParaConvNet
from .models import StyleGAN as StyleGAN
from .models import StyleGAN2 as StyleGAN2
from .training import Multilevel as Multilevel

__version__: str
