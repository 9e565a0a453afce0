import numpy as np
import pytest
from keras import ops

from c2f_zoo.models.psmnet.blocks import Block, TransposedBlock


@pytest.mark.parametrize(
    ("make", "shape", "options"),
    [
        (Block, (2, 5, 6, 3), {}),
        (Block, (2, 5, 6, 3), {"strides": 2}),
        (Block, (1, 5, 6, 3), {"dilation_rate": 2}),
        (Block, (1, 5, 6, 3), {"kernel_size": 1}),
        (Block, (1, 3, 4, 5, 3), {"strides": 2}),
        (Block, (1, 3, 4, 5, 3), {}),
        (TransposedBlock, (1, 2, 2, 3, 3), {}),
    ],
)
def test_inference_is_the_convolution_and_then_the_normalization(rng, make, shape, options):
    block = make(len(shape) - 2, 3, 8, True, "float32", "block", **options)
    norm = block.normalization
    for weight in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance):
        weight.assign(rng.uniform(0.5, 2.0, weight.shape).astype("float32"))
    x = rng.normal(size=shape).astype("float32")
    expected = ops.relu(norm(block.convolution(x), training=False))
    for training in (False, None):
        found = block(x, training=training)
        np.testing.assert_allclose(*map(ops.convert_to_numpy, (found, expected)), atol=2e-5)
    norm.trainable = False  # frozen: the running statistics in training too
    found = block(x, training=True)
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (found, expected)), atol=2e-5)
