from .lite import PSMNetLite as PSMNetLite
from .psmnet import PSMNet as PSMNet
