from .checkpoint import (
    read_torch_checkpoint as read_torch_checkpoint,
    read_torch_content as read_torch_content,
)
from .torchscript import read_torchscript as read_torchscript
