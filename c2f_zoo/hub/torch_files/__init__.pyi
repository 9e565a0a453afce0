from .checkpoint import read_torch_checkpoint as read_torch_checkpoint
from .torchscript import read_torchscript as read_torchscript
