import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import (
    downsample_fir,
    minibatch_stddev,
    resampling_conv2d,
    scaled_leaky_relu,
    upsample_fir,
)
from c2f_zoo.models.gans.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from tests.models.gans.reference import leaky, noise_for, randomised

SMALL = {"latent_size": 6, "w_size": 5, "mapping_depth": 2, "num_filters": (4, 4, 3)}


def small_generator(**options):
    return StyleGAN2Generator(16, **{**SMALL, **options})


def small_discriminator(**options):
    return StyleGAN2Discriminator(16, num_filters=(4, 4, 3), **options)


@pytest.fixture
def generator(rng):
    return randomised(small_generator(), rng)


@pytest.mark.parametrize(
    ("resolution", "channel_base", "generator", "discriminator"),
    [
        (1024, 16384, 30_370_060, 29_012_513),
        (512, 16384, 30_276_583, 28_982_849),
        (256, 16384, 30_034_338, 28_864_129),
        (1024, 8192, 24_900_764, 24_038_161),
        (256, 8192, 24_767_458, 24_001_089),
    ],
)
def test_parameter_counts_are_those_of_the_official_configurations(
    empty_kernels, trainable_size, resolution, channel_base, generator, discriminator
):
    model = StyleGAN2Generator(resolution, channel_base=channel_base)
    assert trainable_size(model) == generator
    assert trainable_size(model.mapping) == 2_101_248
    model = StyleGAN2Discriminator(resolution, channel_base=channel_base)
    assert trainable_size(model) == discriminator


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_small_resolutions_build_too(resolution):
    sizes = {"latent_size": 4, "w_size": 4, "channel_max": 4}
    images = StyleGAN2Generator(resolution, **sizes).predict_on_batch(np.ones((1, 4), "float32"))
    assert images.shape == (1, resolution, resolution, 3)
    discriminator = StyleGAN2Discriminator(resolution, channel_max=4)
    assert discriminator.predict_on_batch(images).shape == (1, 1)


def modulated(layer, x, w, demodulate, resample=None):
    """Equations 1 and 3, one sample at a time."""
    dense, results = layer.style, []
    style = w @ ops.convert_to_numpy(dense.kernel) / np.sqrt(w.shape[-1])
    style = style + ops.convert_to_numpy(dense.bias)
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    kernel = kernel / np.sqrt(np.prod(kernel.shape[:3]))
    for image, scale in zip(x, style, strict=True):
        scaled = kernel * scale[None, None, :, None]
        if demodulate:
            scaled = scaled / np.sqrt((scaled**2).sum((0, 1, 2)) + 1e-8)
        scaled = scaled.astype("float32")
        y = resampling_conv2d(image[None].astype("float32"), scaled, resample, (1, 3, 3, 1))
        results.append(ops.convert_to_numpy(y)[0])
    return np.stack(results)


def test_synthesis_computes_the_papers_function_and_sums_rgb_from_coarse_to_fine(generator, rng):
    w, noise = rng.normal(size=(2, 6, 5)).astype("float32"), noise_for(generator, rng)
    x, image, layer = np.repeat(ops.convert_to_numpy(generator.constant), 2, 0), 0, 0
    for scale in range(3):
        for resample in ([None], ["up", None])[scale > 0]:
            convolution = generator.convolutions[layer]
            x = modulated(convolution.convolution, x, w[:, layer], True, resample)
            x = x + noise[layer] * float(ops.convert_to_numpy(convolution.noise.strength))
            x = x + ops.convert_to_numpy(convolution.bias)
            x = leaky(x) * 2**0.5
            layer += 1
        rgb = generator.to_rgb[scale]
        if scale:
            image = ops.convert_to_numpy(upsample_fir(image.astype("float32")))
        image = image + modulated(rgb.convolution, x, w[:, layer], False)
        image = image + ops.convert_to_numpy(rgb.bias)
    result = ops.convert_to_numpy(generator.synthesis(w, noise))
    np.testing.assert_allclose(result, image, atol=1e-3)


def test_a_fused_generator_is_the_same_function(generator, rng):
    fused = small_generator(fused=True)
    fused.set_weights(generator.get_weights())
    w, noise = rng.normal(size=(2, 6, 5)).astype("float32"), noise_for(generator, rng)
    expected = ops.convert_to_numpy(generator.synthesis(w, noise))
    result = ops.convert_to_numpy(fused.synthesis(w, noise))
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_layers_of_w_and_of_noise_are_as_in_the_official_code():
    model = StyleGAN2Generator(32, latent_size=4, w_size=4, channel_max=2)
    assert model.num_layers == model.current_layers == 8  # 2 log2(R) - 2
    assert len(model.convolutions) == 7 and len(model.to_rgb) == 4
    assert model.noise_shapes == ((4, 4), (8, 8), (8, 8), (16, 16), (16, 16), (32, 32), (32, 32))
    assert not hasattr(model, "stage") and not hasattr(model, "alpha")


def test_truncation_is_of_all_layers(generator, rng):
    generator.w_average.assign(rng.normal(size=5))
    latents, noise = rng.normal(size=(2, 6)).astype("float32"), noise_for(generator, rng)
    average = np.stack([ops.convert_to_numpy(generator.w_average)] * 2)
    images = ops.convert_to_numpy(generator(latents, noise=noise, truncation=0.0))
    expected = ops.convert_to_numpy(generator.synthesis(average, noise))
    np.testing.assert_allclose(images, expected, atol=1e-4)


def equalised(layer, x, resample=None):
    kernel = ops.convert_to_numpy(layer.kernel)
    kernel = kernel * layer.gain / np.sqrt(np.prod(kernel.shape[:3]))
    y = resampling_conv2d(x, kernel.astype("float32"), resample, (1, 3, 3, 1))
    return y if layer.bias is None else scaled_leaky_relu(y + ops.convert_to_tensor(layer.bias))


@pytest.mark.parametrize("sum_scales", [False, True])
def test_the_discriminator_is_residual_and_gives_one_score(rng, sum_scales):
    model = small_discriminator(sum_scales=sum_scales)
    images = rng.normal(size=(4, 16, 16, 3)).astype("float32")
    x, total = equalised(model.from_rgb, images), 0.0
    for index in (1, 0):
        if sum_scales:
            kernel = ops.convert_to_numpy(model.scale_scores[index].kernel)
            total = total + ops.convert_to_numpy(x).mean((1, 2)) @ kernel / len(kernel) ** 0.5
        first, second, skip = model.blocks[index]
        straight = equalised(skip, downsample_fir(x))
        x = (equalised(second, equalised(first, x), "down") + straight) / 2**0.5
    x = equalised(model.head.convolution, minibatch_stddev(x))
    x = ops.convert_to_numpy(ops.reshape(x, (4, -1)))
    dense, score = (ops.convert_to_numpy(v.kernel) for v in (model.head.dense, model.head.score))
    x = x @ dense / len(dense) ** 0.5
    x = leaky(x) * 2**0.5
    expected = total + x @ score / len(score) ** 0.5
    np.testing.assert_allclose(model.predict_on_batch(images), expected, atol=1e-4)


def test_summed_scores_cost_one_linear_reading_per_scale(trainable_size):
    plain, summed = (trainable_size(small_discriminator(sum_scales=s)) for s in (False, True))
    assert summed - plain == (4 + 1) + (3 + 1)


def test_penalties_of_w_and_of_images_have_the_right_gradients(rng, check_penalty):
    class FromW(keras.Model):
        """Differentiated in w, as path length is."""

        def __init__(self, generator, noise):
            super().__init__()
            self.generator, self.noise = generator, noise
            self.built = True

        def call(self, w):
            return self.generator.synthesis(w, [ops.convert_to_tensor(n) for n in self.noise])

    generator = StyleGAN2Generator(8, **{**SMALL, "num_filters": (4, 3)})
    w = rng.normal(size=(2, 4, 5)).astype("float32")
    model = FromW(generator, noise_for(generator, rng))
    check_penalty(model, w, generator.convolutions[1].convolution.kernel)
    discriminator = StyleGAN2Discriminator(8, num_filters=(4, 3), sum_scales=True)
    images = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    check_penalty(discriminator, images, discriminator.blocks[0][1].kernel)


def test_models_survive_their_configuration_and_their_file(tmp_path, rng):
    model = small_generator(base_shape=(4, 6))
    discriminator = small_discriminator(base_shape=(4, 6), sum_scales=True, group_size=2)
    latents = rng.normal(size=(2, 6)).astype("float32")
    images = model.predict_on_batch(latents)
    assert images.shape == (2, 16, 24, 3)
    for network, inputs in ((model, latents), (discriminator, images)):
        network.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.get_config() == network.get_config()
        np.testing.assert_allclose(
            again.predict_on_batch(inputs), network.predict_on_batch(inputs), atol=1e-5
        )


def test_mixed_precision_gives_float32_images_and_scores(generator, rng):
    half = small_generator(dtype="mixed_bfloat16")
    half.set_weights(generator.get_weights())
    latents, noise = rng.normal(size=(2, 6)).astype("float32"), noise_for(generator, rng)
    images = half(latents, noise=noise)
    assert "float32" in str(images.dtype)
    exact = ops.convert_to_numpy(generator(latents, noise=noise))
    difference = np.abs(ops.convert_to_numpy(images) - exact).mean()
    assert difference < 0.05 * np.abs(exact).max()
    scores = small_discriminator(dtype="mixed_bfloat16", sum_scales=True)(images)
    assert "float32" in str(scores.dtype)


def test_wrong_arguments_are_named(generator):
    with pytest.raises(ValueError, match="Received: 20$"):
        StyleGAN2Generator(20)
    with pytest.raises(ValueError, match=r"Received: shape \(2, 6, 4\)$"):
        generator.synthesis(np.zeros((2, 6, 4), "float32"))
    with pytest.raises(ValueError, match="each of 5 layers. Received: 2 maps$"):
        generator.synthesis(np.zeros((1, 5), "float32"), [np.zeros((1, 4, 4, 1), "float32"), None])
    with pytest.raises(ValueError, match=r"Received: shape \(4, 8, 8, 3\)"):
        small_discriminator()(np.zeros((4, 8, 8, 3), "float32"))
