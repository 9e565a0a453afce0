import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import minibatch_stddev
from c2f_zoo.models.gans.msg_progan import (
    COMBINATIONS,
    MSGDiscriminator,
    MSGGenerator,
    image_pyramid,
)
from c2f_zoo.models.gans.progan import ProGANDiscriminator, ProGANGenerator
from tests.models.gans.reference import conv, leaky

WIDTHS = (8, 6, 4)


def small_generator(**options):
    return MSGGenerator(16, latent_size=5, num_filters=WIDTHS, **options)


def small_discriminator(**options):
    return MSGDiscriminator(16, num_filters=WIDTHS, **options)


def real_pyramid(rng, size=(16, 16)):
    return image_pyramid(rng.normal(size=(4, *size, 3)).astype("float32"), 3)


def test_the_generator_is_progan_read_at_every_scale(rng):
    latents = rng.normal(size=(2, 5)).astype("float32")
    generator = small_generator()
    growing = ProGANGenerator(16, latent_size=5, num_filters=WIDTHS)
    names = {v.path: v for v in generator.trainable_variables}
    for variable in growing.trainable_variables:
        kernel = names[variable.path.replace("stage", "scale")]
        variable.assign(np.array(ops.convert_to_numpy(kernel)))
    images = generator.predict_on_batch(latents)
    for stage, image in enumerate(images):
        growing.stage = stage
        np.testing.assert_allclose(image, growing.predict_on_batch(latents), atol=1e-4)


def test_full_size_networks_have_progans_trunk(empty_kernels, trainable_size):
    assert trainable_size(MSGGenerator(1024)) == 23_079_115
    # ProGAN's without the eight coarser fromRGB, with RGB into eight first convolutions (that of
    # the head among them), and a stddev map into eight more than ProGAN's one.
    progan = trainable_size(ProGANDiscriminator(1024))
    widths = (512, 512, 512, 512, 256, 128, 64, 32, 16)
    expected = progan - sum(4 * width for width in widths[:-1])
    expected += 9 * 3 * sum(widths[:-1]) + 9 * sum(widths[1:])
    assert trainable_size(MSGDiscriminator(1024)) == expected


@pytest.mark.parametrize("size", [(4, 4), (8, 12)])
def test_the_real_pyramid_is_of_averages_coarse_to_fine(rng, size):
    images = rng.random((2, *size, 3), dtype="float32")
    levels = [ops.convert_to_numpy(level) for level in image_pyramid(images, 3)]
    for level, factor in zip(levels, (4, 2, 1), strict=True):
        cells = images.reshape(2, size[0] // factor, factor, size[1] // factor, factor, 3)
        np.testing.assert_allclose(level, cells.mean((2, 4)), atol=1e-6)


def with_stddev(x):
    return ops.convert_to_numpy(minibatch_stddev(x.astype("float32")))


@pytest.mark.parametrize("combine", COMBINATIONS)
@pytest.mark.parametrize("everywhere", [True, False])
def test_the_discriminator_combines_the_image_of_every_scale(rng, combine, everywhere):
    model = small_discriminator(combine=combine, stddev_everywhere=everywhere)
    pyramid = [ops.convert_to_numpy(level) for level in real_pyramid(rng)]
    x = leaky(conv(pyramid[-1], model.from_rgb))
    for scale in (1, 0):
        x = with_stddev(x) if everywhere else x
        for layer in model.blocks[scale]:
            x = leaky(conv(x, layer))
        size = x.shape[1] // 2
        x, rgb = x.reshape(4, size, 2, size, 2, -1).mean((2, 4)), pyramid[scale]
        if combine == "simple":
            x = np.concatenate([rgb, x], -1)
        elif combine == "lin_cat":
            x = np.concatenate([conv(rgb, model.combiners[scale]), x], -1)
        else:
            x = conv(np.concatenate([rgb, x], -1), model.combiners[scale])
        if combine != "simple":
            assert x.shape[-1] == WIDTHS[scale]
    x = leaky(conv(with_stddev(x), model.head.convolution)).reshape(4, -1)
    for layer, activation in ((model.head.dense, leaky), (model.head.score, lambda x: x)):
        kernel = ops.convert_to_numpy(layer.kernel)
        x = activation(x @ kernel * layer.gain / len(kernel) ** 0.5)
    np.testing.assert_allclose(model.predict_on_batch(pyramid), x, atol=1e-4)


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_a_penalty_over_all_scales_has_the_right_gradients(rng, combine, check_penalty):
    model = MSGDiscriminator(8, combine=combine, num_filters=(4, 3))
    pyramid = image_pyramid(rng.normal(size=(2, 8, 8, 3)).astype("float32"), 2)
    check_penalty(model, pyramid, model.blocks[0][0].kernel)
    check_penalty(model, pyramid, model.head.convolution.kernel)


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_small_resolutions_build_too(resolution):
    generator = MSGGenerator(resolution, latent_size=4, channel_max=4, fused=True)
    images = generator.predict_on_batch(np.ones((1, 4), "float32"))
    assert images[-1].shape == (1, resolution, resolution, 3)
    for combine in COMBINATIONS:
        model = MSGDiscriminator(resolution, combine=combine, channel_max=4, fused=True)
        assert tuple(model.predict_on_batch(images).shape) == (1, 1)


def test_models_survive_their_configuration_and_their_file(tmp_path, rng):
    generator = small_generator(base_shape=(4, 6), normalization=False)
    discriminator = small_discriminator(base_shape=(4, 6), combine="cat_lin", group_size=None)
    latents = rng.normal(size=(2, 5)).astype("float32")
    images = generator.predict_on_batch(latents)
    for network, inputs in ((generator, latents), (discriminator, images)):
        network.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.get_config() == network.get_config()
        for result, expected in zip(
            keras.tree.flatten(again.predict_on_batch(inputs)),
            keras.tree.flatten(network.predict_on_batch(inputs)),
            strict=True,
        ):
            np.testing.assert_allclose(result, expected, atol=1e-5)


def test_labels_are_an_input_and_mixed_precision_gives_float32(rng):
    generator = small_generator(label_size=2, dtype="mixed_bfloat16")
    images = generator(rng.normal(size=(4, 5)), np.eye(4, 2))
    scores = small_discriminator(dtype="mixed_bfloat16")(images)
    assert all("float32" in str(tensor.dtype) for tensor in (*images, scores))


def test_wrong_arguments_are_named(rng):
    with pytest.raises(ValueError, match="Received: 'sum'$"):
        small_discriminator(combine="sum")
    with pytest.raises(ValueError, match="scales. Received: 2"):
        small_discriminator()(real_pyramid(rng)[1:])
    with pytest.raises(ValueError, match=r"Received: shape \(4, 16, 16, 3\)"):
        small_discriminator()(real_pyramid(rng)[::-1])
    with pytest.raises(ValueError, match=r"multiples of 4. Received: shape \(1, 6, 8, 3\)$"):
        image_pyramid(np.zeros((1, 6, 8, 3), "float32"), 3)
