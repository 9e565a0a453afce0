import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.models.gans.stylegan import (
    MappingNetwork,
    StyleGANDiscriminator,
    StyleGANGenerator,
    mix_styles,
)
from tests.models.gans.reference import conv, leaky, noise_for, randomised

SMALL = {"latent_size": 6, "w_size": 5, "mapping_depth": 2, "num_filters": (4, 4, 3)}


def small_generator(**options):
    return StyleGANGenerator(16, **{**SMALL, **options})


@pytest.fixture
def generator(rng):
    return randomised(small_generator(), rng)


@pytest.mark.parametrize(("resolution", "parameters"), [(1024, 26_219_627), (256, 26_086_229)])
def test_parameter_counts_are_those_of_the_official_code(
    empty_kernels, trainable_size, resolution, parameters
):
    generator = StyleGANGenerator(resolution)
    assert trainable_size(generator) == parameters
    assert trainable_size(generator.mapping) == 2_101_248
    assert generator.num_layers == 2 * int(np.log2(resolution)) - 2


def test_the_discriminator_has_progans_parameters(empty_kernels, trainable_size):
    assert trainable_size(StyleGANDiscriminator(1024)) == 23_087_249


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_small_resolutions_build_too(resolution):
    sizes = {"latent_size": 4, "w_size": 4, "channel_max": 4}
    images = StyleGANGenerator(resolution, **sizes).predict_on_batch(np.ones((1, 4), "float32"))
    assert images.shape == (1, resolution, resolution, 3) and np.isfinite(images).all()
    discriminator = StyleGANDiscriminator(resolution, channel_max=4)
    assert discriminator.predict_on_batch(images).shape == (1, 1)


def test_the_mapping_network_normalises_and_learns_at_a_hundredth_of_the_speed(rng):
    mapping = MappingNetwork(6, 5, num_layers=3, depth=2)
    latents = rng.normal(size=(2, 6)).astype("float32")
    w = latents / np.sqrt((latents**2).mean(-1, keepdims=True) + 1e-8)
    for layer in mapping.dense_layers:
        layer.bias.assign(rng.normal(size=5) * 100)
        kernel, bias = (ops.convert_to_numpy(v) for v in (layer.kernel, layer.bias))
        w = leaky(w @ kernel * 0.01 * (2 / len(kernel)) ** 0.5 + bias * 0.01)
    result = ops.convert_to_numpy(mapping(latents))
    np.testing.assert_allclose(result, np.repeat(w[:, None], 3, 1), atol=1e-4)
    again = MappingNetwork.from_config(mapping.get_config())
    assert again.get_config() == mapping.get_config()


def blurred(x):
    for axis in (1, 2):
        before = [(1, 1) if a == axis else (0, 0) for a in range(4)]
        padded = np.pad(x, before)
        n = x.shape[axis]
        parts = [padded.take(range(k, k + n), axis) for k in range(3)]
        x = (parts[0] + 2 * parts[1] + parts[2]) / 4
    return x


def epilogue(x, layer, w, noise):
    strength, bias = (ops.convert_to_numpy(v) for v in (layer.noise.strength, layer.bias))
    x = leaky(x + noise * strength + bias)
    x = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-8)
    dense = layer.adain.style
    style = w @ ops.convert_to_numpy(dense.kernel) / np.sqrt(w.shape[-1])
    scale, shift = np.split((style + ops.convert_to_numpy(dense.bias))[:, None, None], 2, -1)
    return x * (scale + 1) + shift


@pytest.mark.parametrize("fused", [True, False])
def test_synthesis_computes_the_papers_function_and_fades_in_rgb(generator, rng, fused):
    model = generator
    if not fused:
        model = small_generator(fused=False)
        model.set_weights(generator.get_weights())
    w, noise = rng.normal(size=(2, 6, 5)).astype("float32"), noise_for(model, rng)
    layer, images = 0, []
    x = np.repeat(ops.convert_to_numpy(model.constant), 2, 0)
    for index in range(3):
        for part in range(2):
            convolution = model.convolutions[index][part if index else 0]
            if part == 1:
                x = conv(x, convolution)
            elif index:
                x = blurred(conv(x.repeat(2, 1).repeat(2, 2), convolution))
            x = epilogue(x, model.epilogues[layer], w[:, layer], noise[layer])
            layer += 1
        rgb = model.to_rgb[index]
        images.append(conv(x, rgb) + ops.convert_to_numpy(rgb.bias))
    for stage, alpha in ((0, 0.3), (2, 0.3), (1, 1.0)):
        model.stage = stage
        model.alpha.assign(alpha)
        expected = images[stage]
        if stage:
            old = images[stage - 1].repeat(2, 1).repeat(2, 2)
            expected = old * (1 - alpha) + expected * alpha
        result = ops.convert_to_numpy(model.synthesis(w, noise[: model.current_layers]))
        np.testing.assert_allclose(result, expected, atol=2e-3)


def test_the_constant_begins_as_ones_and_noise_at_strength_zero(rng):
    model = small_generator()
    assert (ops.convert_to_numpy(model.constant) == 1).all()
    latents = rng.normal(size=(1, 6)).astype("float32")
    np.testing.assert_array_equal(model.predict_on_batch(latents), model.predict_on_batch(latents))


def test_noise_that_is_not_given_differs_between_calls_and_given_noise_decides(generator, rng):
    latents = rng.normal(size=(2, 6)).astype("float32")
    assert np.abs(generator.predict_on_batch(latents) - generator.predict_on_batch(latents)).max()
    noise = noise_for(generator, rng)
    first, second = (ops.convert_to_numpy(generator(latents, noise=noise)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_mixing_takes_coarse_layers_from_one_w_and_fine_ones_from_another(rng):
    w, other = rng.normal(size=(2, 3, 6, 5)).astype("float32")
    for cutoff in (2, ops.convert_to_tensor(2)):
        mixed = ops.convert_to_numpy(mix_styles(w, other, cutoff))
        np.testing.assert_array_equal(mixed[:, :2], w[:, :2])
        np.testing.assert_array_equal(mixed[:, 2:], other[:, 2:])
    mixed = ops.convert_to_numpy(mix_styles(w, other, np.array([0, 6, 1])))
    np.testing.assert_array_equal(mixed[0], other[0])
    np.testing.assert_array_equal(mixed[1], w[1])
    np.testing.assert_array_equal(mixed[2, 1:], other[2, 1:])


def test_truncation_pulls_the_coarse_layers_towards_the_tracked_average(generator, rng):
    average = rng.normal(size=5).astype("float32")
    generator.w_average.assign(average)
    w = rng.normal(size=(2, 6, 5)).astype("float32")
    truncated = ops.convert_to_numpy(generator.truncate(w, 0.7, cutoff=4))
    expected = average + 0.7 * (w - average)
    np.testing.assert_allclose(truncated[:, :4], expected[:, :4], atol=1e-6)
    np.testing.assert_array_equal(truncated[:, 4:], w[:, 4:])
    whole = ops.convert_to_numpy(generator.truncate(w, 0.7))
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    latents, noise = rng.normal(size=(2, 6)).astype("float32"), noise_for(generator, rng)
    images = ops.convert_to_numpy(generator(latents, noise=noise, truncation=0.0))
    expected = ops.convert_to_numpy(generator.synthesis(np.stack([average] * 2), noise))
    np.testing.assert_allclose(images, expected, atol=1e-4)


def test_the_average_of_w_moves_by_half_a_percent_per_step(generator, rng):
    w = ops.convert_to_numpy(generator.mapping(rng.normal(size=(8, 6)).astype("float32")))
    for given in (w, w[:, 0]):
        generator.w_average.assign(np.ones(5))
        generator.update_w_average(given)
        expected = 0.995 + 0.005 * w[:, 0].mean(0)
        np.testing.assert_allclose(ops.convert_to_numpy(generator.w_average), expected, atol=1e-6)
    assert not any(v is generator.w_average for v in generator.trainable_variables)


def test_stages_begin_at_the_base_and_training_at_eight_pixels():
    model = small_generator()
    assert model.resolutions[model.first_stage] == (8, 8)
    model.stage = model.first_stage
    assert model.current_layers == 4 and model.noise_shapes == ((4, 4), (4, 4), (8, 8), (8, 8))
    assert StyleGANDiscriminator.first_stage == 1


def test_the_discriminator_blurs_before_it_halves_and_fusing_changes_nothing(rng):
    images = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    fused = StyleGANDiscriminator(8, num_filters=(4, 3))
    plain = StyleGANDiscriminator(8, num_filters=(4, 3), fused=False)
    plain.set_weights(fused.get_weights())
    assert fused.blocks[0][1].resample_filter == (1, 2, 1)
    np.testing.assert_allclose(
        fused.predict_on_batch(images), plain.predict_on_batch(images), atol=1e-4
    )


def test_models_survive_their_configuration_and_their_file(tmp_path, rng):
    model = small_generator(stage=1, base_shape=(4, 6))
    model.w_average.assign(np.arange(5))
    discriminator = StyleGANDiscriminator(16, num_filters=(4, 4, 3), stage=1, base_shape=(4, 6))
    latents = rng.normal(size=(2, 6)).astype("float32")
    images = model.predict_on_batch(latents)
    assert images.shape == (2, 8, 12, 3)
    for network, inputs in ((model, latents), (discriminator, images)):
        network.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.get_config() == network.get_config()
        np.testing.assert_allclose(
            again.predict_on_batch(inputs), network.predict_on_batch(inputs), atol=1e-5
        )
    again = StyleGANGenerator(16, **{**SMALL, "base_shape": (4, 6)})
    assert again.load_smaller(model)
    np.testing.assert_array_equal(ops.convert_to_numpy(again.w_average), np.arange(5))


def test_penalties_of_w_and_of_images_have_the_right_gradients(generator, rng, check_penalty):
    class FromW(keras.Model):
        """Differentiated in w, as path length is."""

        def __init__(self, generator, noise):
            super().__init__()
            self.generator, self.noise = generator, noise
            self.built = True

        def call(self, w):
            return self.generator.synthesis(w, [ops.convert_to_tensor(n) for n in self.noise])

    generator.stage = 1
    w = rng.normal(size=(2, 4, 5)).astype("float32")
    model = FromW(generator, noise_for(generator, rng))
    check_penalty(model, w, generator.convolutions[1][0].kernel)
    discriminator = StyleGANDiscriminator(8, num_filters=(4, 3))
    images = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    check_penalty(discriminator, images, discriminator.blocks[0][1].kernel)


def test_mixed_precision_gives_float32_images(generator, rng):
    half = small_generator(dtype="mixed_bfloat16")
    half.set_weights(generator.get_weights())
    latents, noise = rng.normal(size=(2, 6)).astype("float32"), noise_for(generator, rng)
    images = half(latents, noise=noise)
    assert "float32" in str(images.dtype)
    exact = ops.convert_to_numpy(generator(latents, noise=noise))
    difference = np.abs(ops.convert_to_numpy(images) - exact).mean()
    assert difference < 0.05 * np.abs(exact).max()


def test_wrong_shapes_are_named(generator):
    w = np.zeros((2, 6, 5), "float32")
    with pytest.raises(ValueError, match=r"Received: shape \(2, 5\)"):
        generator.mapping(np.zeros((2, 5), "float32"))
    with pytest.raises(ValueError, match=r"Received: shape \(2, 6, 4\)$"):
        generator.synthesis(w[..., :4])
    with pytest.raises(ValueError, match=r"Received: shape \(2, 3, 5\)$"):
        generator.synthesis(w[:, :3])
    with pytest.raises(ValueError, match="each of 6 layers. Received: 1 maps$"):
        generator.synthesis(w, [np.zeros((2, 4, 4, 1), "float32")])
