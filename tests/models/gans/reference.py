"""What the tests of several generative networks compare with, in numpy and float64."""

import numpy as np
import pytest
from keras import ops


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def conv(x, layer):
    """The layer's convolution without its bias, scaled by its gain over the root of its fan-in."""
    torch = pytest.importorskip("torch")
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    kernel = kernel * layer.gain / np.sqrt(np.prod(kernel.shape[:3]))
    y = torch.nn.functional.conv2d(
        torch.from_numpy(np.asarray(x, "float64")).permute(0, 3, 1, 2),
        torch.from_numpy(kernel).permute(3, 2, 0, 1),
        padding=kernel.shape[0] // 2,
    )
    return y.permute(0, 2, 3, 1).numpy()


def randomised(generator, rng):
    """The generator with random weights, also where it begins with constants."""
    for variable in generator.trainable_variables:
        scale = 100.0 if variable.path.startswith("mapping") else 1.0
        variable.assign(rng.normal(scale=scale, size=variable.shape))
    return generator


def noise_for(generator, rng, batch=2):
    shapes = generator.noise_shapes
    return [rng.normal(size=(batch, *shape, 1)).astype("float32") for shape in shapes]
