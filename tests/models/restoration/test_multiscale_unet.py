"""The U-Net's parts against plain numpy, and its shape at its paper's settings."""

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers import TimeFeatures, sinusoid
from c2f_zoo.models import MultiscaleUNet
from c2f_zoo.models.restoration.blocks import ResidualBlock, SelfAttention


def randomize(layer, seed=0):
    random = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign(0.3 * random.normal(size=weight.shape))


def slow_group_norm(x, groups, gamma, beta):
    batch, height, width, channels = x.shape
    parts = x.reshape(batch, height, width, groups, channels // groups).astype("float64")
    mean = parts.mean((1, 2, 4), keepdims=True)
    variance = parts.var((1, 2, 4), keepdims=True)
    normal = ((parts - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    return normal * gamma + beta


def slow_convolution(x, kernel, bias):
    pad = kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    result = np.zeros((*x.shape[:3], kernel.shape[-1]))
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            part = padded[:, row : row + x.shape[1], column : column + x.shape[2]]
            result += part @ kernel[row, column]
    return result + bias


def silu(x):
    return x / (1 + np.exp(-x))


def weights_of(layer):
    return [to_numpy(weight) for weight in layer.weights]


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_is_its_definition(heads, rng):
    layer = SelfAttention(8, groups=4, heads=heads)
    randomize(layer)
    x = rng.normal(size=(2, 3, 5, 8)).astype("float32")
    normal = slow_group_norm(x, 4, *weights_of(layer.norm))
    both = slow_convolution(normal, *weights_of(layer.query_key_value)).reshape(2, 15, 3, 8)
    attended = np.zeros((2, 15, 8))
    size = 8 // heads
    for sample in range(2):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            query, key, value = (both[sample, :, i, part] for i in range(3))
            for pixel in range(15):
                score = np.exp(key @ query[pixel] / np.sqrt(size))
                attended[sample, pixel, part] = (score / score.sum()) @ value
    projected = slow_convolution(attended.reshape(x.shape), *weights_of(layer.projection))
    np.testing.assert_allclose(to_numpy(layer(x)), x + projected, atol=1e-4)


@pytest.mark.parametrize("filters", [8, 12])
@pytest.mark.parametrize("time_width", [None, 6])
def test_a_residual_block_is_its_definition(filters, time_width, rng):
    layer = ResidualBlock(8, filters, 4, 0.5, time_width)
    randomize(layer)
    x = rng.normal(size=(2, 4, 5, 8)).astype("float32")
    time = rng.normal(size=(2, 6)).astype("float32") if time_width else None
    h = silu(slow_group_norm(x, 4, *weights_of(layer.norm_in)))
    h = slow_convolution(h, *weights_of(layer.conv_in))
    if time_width:
        kernel, bias = weights_of(layer.embed)
        h = h + (silu(time) @ kernel + bias)[:, None, None]
    h = silu(slow_group_norm(h, 4, *weights_of(layer.norm_out)))
    h = slow_convolution(h, *weights_of(layer.conv_out))
    skip = x if filters == 8 else slow_convolution(x, *weights_of(layer.skip))
    np.testing.assert_allclose(to_numpy(layer(x, time)), skip + h, atol=1e-4)


def test_dropout_is_on_in_training_alone(rng):
    layer = ResidualBlock(8, 8, 4, 0.5)
    randomize(layer)
    x = rng.normal(size=(1, 4, 4, 8)).astype("float32")
    still = [to_numpy(layer(x, training=False)) for _ in range(2)]
    dropped = [to_numpy(layer(x, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert not np.allclose(*dropped) and not np.allclose(dropped[0], still[0])


def test_the_time_is_told_by_cosines_and_sines():
    time = np.array([0.0, 0.3, 12.0])
    frequency = 10000.0 ** (-np.arange(5) / 5)
    cosine, sine = np.cos(time[:, None] * frequency), np.sin(time[:, None] * frequency)
    found = to_numpy(sinusoid(time, 10))
    np.testing.assert_allclose(found, np.concatenate([cosine, sine], 1), atol=1e-5)
    found = to_numpy(sinusoid(time, 10, sine_first=True))
    np.testing.assert_allclose(found, np.concatenate([sine, cosine], 1), atol=1e-5)
    with pytest.raises(ValueError, match="Received: 7$"):
        sinusoid(time, 7)


def test_half_of_the_times_features_are_learned():
    layer = TimeFeatures(16, hidden=5)
    randomize(layer)
    time = np.array([0.1, 0.9], "float32")
    learned = time[:, None]
    for index, dense in enumerate(layer.dense):
        kernel, bias = weights_of(dense)
        learned = learned @ kernel + bias
        learned = np.maximum(learned, 0) if index < 2 else learned
    expected = np.concatenate([to_numpy(sinusoid(time, 8, sine_first=True)), learned], axis=1)
    np.testing.assert_allclose(to_numpy(layer(time)), expected, atol=1e-5)
    again = TimeFeatures.from_config(layer.get_config())
    assert again.count_params() == layer.count_params()
    with pytest.raises(ValueError, match="Received: 6$"):
        TimeFeatures(6)


def test_a_new_network_returns_grey_and_a_residual_one_its_input(rng):
    images = rng.random((1, 10, 13, 3), dtype="float32")
    plain = MultiscaleUNet(16, (1, 2), time_embedding=False)
    np.testing.assert_allclose(to_numpy(plain(images)), 0.5, atol=1e-6)
    residual = MultiscaleUNet(16, (1, 2), time_embedding=False, residual=True)
    np.testing.assert_allclose(to_numpy(residual(images)), images, atol=1e-6)


def test_the_papers_network_has_its_scales_blocks_and_widths():
    model = MultiscaleUNet()
    assert model.stride == 4
    assert [[block.conv_out.filters for block in row] for row in model.down] == [[32], [64], [128]]
    assert [[block.conv_out.filters for block in row] for row in model.up] == [
        [128, 128],
        [64, 64],
        [32, 32],
    ]
    # Inputs of each block on the way up: the features from below and those of the skip.
    assert [[block.conv_in.kernel.shape[2] for block in row] for row in model.up] == [
        [128 + 128, 128 + 64],
        [128 + 64, 64 + 32],
        [64 + 32, 32 + 32],
    ]
    zero = [model.head, model.middle_attention.projection]
    zero += [block.conv_out for row in model.down + model.up for block in row]
    assert all(not to_numpy(layer.kernel).any() for layer in zero)
    assert {block.dropout.rate for row in model.down + model.up for block in row} == {0.5}


def test_a_faster_time_is_told_apart(rng):
    images = rng.random((1, 8, 8, 3), dtype="float32")
    answers = []
    for factor in (1.0, 1000.0):
        keras.utils.set_random_seed(0)
        model = MultiscaleUNet(8, (1, 2), groups=4, time_factor=factor)
        randomize(model, seed=5)
        at = [to_numpy(model((images, np.array([t], "float32")))) for t in (0.1, 0.9)]
        answers.append(np.abs(at[0] - at[1]).max())
    assert answers[1] > answers[0]
