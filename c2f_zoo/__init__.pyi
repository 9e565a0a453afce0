from . import (
    data as data,
    hub as hub,
    layers as layers,
    losses as losses,
    metrics as metrics,
    models as models,
    tasks as tasks,
    training as training,
)
from .hub import create_model as create_model, list_presets as list_presets, load as load
from .models import (
    MSGGAN as MSGGAN,
    RAFT as RAFT,
    DepthUNet as DepthUNet,
    MultiscaleUNet as MultiscaleUNet,
    ProGAN as ProGAN,
    PSMNet as PSMNet,
    PSMNetLite as PSMNetLite,
    PWCNet as PWCNet,
    PWCNetLite as PWCNetLite,
    RestorationResNet as RestorationResNet,
    SRParaConvNet as SRParaConvNet,
    StyleGAN as StyleGAN,
    StyleGAN2 as StyleGAN2,
)
from .training import Multilevel as Multilevel

__version__: str
