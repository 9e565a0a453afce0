from .psmnet import PSMNet as PSMNet
