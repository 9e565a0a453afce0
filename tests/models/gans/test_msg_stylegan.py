import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.models.gans.msg_stylegan import MSGStyleGANDiscriminator, MSGStyleGANGenerator
from c2f_zoo.models.gans.stylegan import StyleGANDiscriminator, StyleGANGenerator

SIZES = {"latent_size": 6, "w_size": 5, "mapping_depth": 2, "num_filters": (4, 4, 3)}


def widths(resolution):
    return [min(8192 // (size // 2), 512) for size in 2 ** np.arange(2, 11) if size <= resolution]


def generator_size(resolution):
    """Weights of the layer table: mapping, constant, epilogues, convolutions, toRGB."""
    total, before = 8 * (512 * 512 + 512) + 4 * 4 * 512, None
    for width in widths(resolution):
        noise_bias_style = width + width + (512 * 2 * width + 2 * width)
        total += 2 * noise_bias_style + 9 * width * width + (3 * width + 3)
        total += 0 if before is None else 9 * before * width
        before = width
    return total


def discriminator_size(resolution):
    """Weights of the layer table: fromRGB of the finest scale, then blocks and the head."""
    finest_first = widths(resolution)[::-1]
    total = 3 * finest_first[0] + finest_first[0]
    for index, (width, coarser) in enumerate(zip(finest_first[:-1], finest_first[1:], strict=True)):
        combine = (width + 3) * width if index else 0
        total += combine + 9 * (width + 1) * width + width + 9 * width * coarser + coarser
    combine, convolution = (512 + 3) * 512, 9 * (512 + 1) * 512 + 512
    return total + combine + convolution + (4 * 4 * 512 * 512 + 512) + (512 + 1)


def test_parameter_counts_are_those_of_the_layer_table(empty_kernels, trainable_size):
    assert trainable_size(MSGStyleGANGenerator(256)) == generator_size(256)
    assert trainable_size(MSGStyleGANDiscriminator(256)) == discriminator_size(256)
    # StyleGAN's own number: it has a toRGB at every resolution too.
    assert generator_size(1024) == 26_219_627


def test_the_generator_is_stylegan_read_at_every_scale(rng):
    model, growing = MSGStyleGANGenerator(16, **SIZES), StyleGANGenerator(16, **SIZES)
    for network in (model, growing):
        values = np.random.default_rng(1)
        for variable in network.trainable_variables:
            variable.assign(values.normal(size=variable.shape))
    latents = rng.normal(size=(2, 6)).astype("float32")
    noise = [rng.normal(size=(2, *shape, 1)).astype("float32") for shape in model.noise_shapes]
    assert len(noise) == model.num_layers == model.current_layers == 6
    images = model(latents, noise=noise, truncation=0.7)
    for stage, image in enumerate(images):
        growing.stage = stage
        expected = growing(latents, noise=noise, truncation=0.7)
        image, expected = (ops.convert_to_numpy(array) for array in (image, expected))
        np.testing.assert_allclose(image, expected, atol=1e-4)


def test_the_discriminator_is_stylegans_with_the_image_and_a_deviation_at_every_scale(rng):
    model = MSGStyleGANDiscriminator(8, num_filters=(4, 3), group_size=4)
    assert model.combine == "cat_lin" and model.combiners[0].gain == pytest.approx(2**0.5)
    plain = StyleGANDiscriminator(8, num_filters=(4, 3))
    # Without a weight on the deviations and on the small image, and features passed on as they
    # are, it is StyleGAN's.
    first, small = model.blocks[0][0], model.combiners[0]
    for layer, other in (
        (first, plain.blocks[0][0]),
        (model.blocks[0][1], plain.blocks[0][1]),
        (model.from_rgb, plain.from_rgb[1]),
        (model.head.convolution, plain.head.convolution),
        (model.head.dense, plain.head.dense),
        (model.head.score, plain.head.score),
    ):
        kernel = np.zeros(layer.kernel.shape, "float32")
        theirs = ops.convert_to_numpy(other.kernel)
        # What is added to the inputs stands last, and lowers the runtime coefficient.
        kernel[..., : theirs.shape[-2], :] = theirs * other.kernel_scale / layer.kernel_scale
        layer.kernel.assign(kernel)
    passed = np.concatenate([np.zeros((3, 4)), np.eye(4)]) / small.kernel_scale
    small.kernel.assign(passed[None, None])
    images = [rng.normal(size=(4, size, size, 3)).astype("float32") for size in (4, 8)]
    scores = model.predict_on_batch(images)
    np.testing.assert_allclose(scores, plain.predict_on_batch(images[1]), atol=1e-4)
    small.kernel.assign(rng.normal(size=small.kernel.shape))
    images[0] = images[0] + 1.0
    assert np.abs(model.predict_on_batch(images) - scores).max() > 1e-3


def test_the_pair_survives_its_file(tmp_path, rng):
    sizes = {"num_filters": (4, 3), "base_shape": (4, 6), "fused": False}
    generator = MSGStyleGANGenerator(8, latent_size=6, w_size=5, mapping_depth=1, **sizes)
    discriminator = MSGStyleGANDiscriminator(8, **sizes)
    latents = rng.normal(size=(2, 6)).astype("float32")
    images = generator.predict_on_batch(latents)
    assert [image.shape for image in images] == [(2, 4, 6, 3), (2, 8, 12, 3)]
    for network, inputs in ((generator, latents), (discriminator, images)):
        network.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.get_config() == network.get_config()
        pairs = zip(network.weights, again.weights, strict=True)
        assert all(np.array_equal(*map(ops.convert_to_numpy, pair)) for pair in pairs)
        again.predict_on_batch(inputs)
