"""How PyTorch's layers keep what the layers of the generative networks keep."""

import dataclasses
import re
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Part:
    """A variable, and how a tensor of PyTorch becomes its value.

    Args:
        variable: Of a Keras layer.
        kind: `"vector"`, `"scalar"` (one number in an axis), `"dense"` (out, in), `"convolution"`
            (out, in, h, w), `"map"` (1, C, h, w), `"modulated"` (1, out, in, h, w), `"modulated,
            turned"` by 180 degrees, `"flattened"` (out, C h w), `"unflattened"` (C h w, in),
            `"unflattened bias"` (C h w,) or `"from pixel"` (in, out, h, w) of a transposed
            convolution of one pixel, or `"to pixel"` (out, in, h, w) of a convolution to one.
        base_shape: (height, width) of the map that a dense layer takes or makes.
        scale: Factor of the value: the quotient of the two layers' constants.
    """

    variable: Any
    kind: str = "vector"
    base_shape: tuple[int, int] = (1, 1)
    scale: float = 1.0

    @property
    def torch_shape(self):
        """Shape of the tensor."""
        return _LAYOUTS[self.kind][0](tuple(self.variable.shape), *self.base_shape)

    def value(self, tensor):
        """The variable's value, float32."""
        tensor = np.asarray(tensor, "float32")
        value = _LAYOUTS[self.kind][1](tensor, *self.base_shape) * np.float32(self.scale)
        return np.reshape(value, self.variable.shape)


def _flattened(tensor, height, width):
    # PyTorch flattens (C, h, w), Keras (h, w, C).
    return tensor.reshape(len(tensor), -1, height, width).transpose(2, 3, 1, 0)


def _unflattened(tensor, height, width):
    return tensor.reshape(-1, height, width, tensor.shape[1]).transpose(3, 1, 2, 0)


# For each kind the tensor's shape from the variable's (and the map's height and width), and the
# variable's value, up to a reshape, from the tensor.
_LAYOUTS = {
    "vector": (lambda s, h, w: s, lambda t, h, w: t),
    "scalar": (lambda s, h, w: (1,), lambda t, h, w: t),
    "dense": (lambda s, h, w: s[::-1], lambda t, h, w: t.T),
    "convolution": (
        lambda s, h, w: (s[3], s[2], s[0], s[1]),
        lambda t, h, w: t.transpose(2, 3, 1, 0),
    ),
    "map": (lambda s, h, w: (s[0], s[3], s[1], s[2]), lambda t, h, w: t.transpose(0, 2, 3, 1)),
    "modulated": (
        lambda s, h, w: (1, s[3], s[2], s[0], s[1]),
        lambda t, h, w: t[0].transpose(2, 3, 1, 0),
    ),
    "modulated, turned": (
        lambda s, h, w: (1, s[3], s[2], s[0], s[1]),
        lambda t, h, w: t[0].transpose(2, 3, 1, 0)[::-1, ::-1],
    ),
    "flattened": (lambda s, h, w: s[::-1], _flattened),
    "unflattened": (lambda s, h, w: s[::-1], _unflattened),
    "unflattened bias": (
        lambda s, h, w: (int(np.prod(s)),),
        lambda t, h, w: t.reshape(-1, h, w).transpose(1, 2, 0),
    ),
    "from pixel": (
        lambda s, h, w: (s[0], s[1] // (h * w), h, w),
        lambda t, h, w: t.transpose(0, 2, 3, 1),
    ),
    "to pixel": (
        lambda s, h, w: (s[1], s[0] // (h * w), h, w),
        lambda t, h, w: t.transpose(2, 3, 1, 0),
    ),
}


def assign(parts, tensors):
    """Assign tensors by name to the variables of `parts`, a dict from name to `Part`."""
    for name, part in parts.items():
        part.variable.assign(part.value(tensors[name]))


def own_names(tensors):
    """The arrays among the values of a dict, by name without the `module.` of a wrapper."""
    arrays = {str(name): value for name, value in tensors.items() if isinstance(value, np.ndarray)}
    if arrays and all(name.startswith("module.") for name in arrays):
        arrays = {name.removeprefix("module."): value for name, value in arrays.items()}
    return arrays


def numbered(tensors, pattern):
    """The numbers that stand in the names of a pattern such as `"to_rgbs.{}.bias"`, sorted."""
    before, after = map(re.escape, pattern.split("{}"))
    found = (re.fullmatch(rf"{before}(\d+){after}", name) for name in tensors)
    return sorted(int(match[1]) for match in found if match)
