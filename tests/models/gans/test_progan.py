import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import EqualizedConv2D
from c2f_zoo.models.gans.growing import stage_widths
from c2f_zoo.models.gans.progan import ProGANDiscriminator, ProGANGenerator
from tests.models.gans.reference import conv as unbiased_conv, leaky

WIDTHS = (8, 6, 4)


def small_generator(**options):
    return ProGANGenerator(16, latent_size=5, num_filters=WIDTHS, **options)


def small_discriminator(**options):
    return ProGANDiscriminator(16, num_filters=WIDTHS, **options)


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator"),
    [
        (1024, 23_079_115, 23_087_249),
        (512, 23_072_120, 23_080_225),
        (256, 23_044_309, 23_052_353),
        (128, 22_933_394, 22_941_313),
        (64, 22_490_383, 22_498_049),
        (32, 20_719_628, 20_726_785),
    ],
)
def test_parameter_counts_are_those_of_the_official_code(
    empty_kernels, trainable_size, resolution, generator, discriminator
):
    assert trainable_size(ProGANGenerator(resolution)) == generator
    assert trainable_size(ProGANDiscriminator(resolution)) == discriminator


@pytest.mark.parametrize("resolution", [4, 8, 16])
def test_the_smallest_resolutions_build_too(resolution):
    generator = ProGANGenerator(resolution, latent_size=4, channel_max=8)
    discriminator = ProGANDiscriminator(resolution, channel_max=8)
    images = generator.predict_on_batch(np.zeros((1, 4), "float32"))
    assert images.shape == (1, resolution, resolution, 3)
    assert discriminator.predict_on_batch(images).shape == (1, 1)


def test_the_first_dense_layer_has_one_bias_per_channel():
    base = ProGANGenerator(4, channel_max=512).base
    assert tuple(base.bias.shape) == (512,) and tuple(base.dense.kernel.shape) == (512, 8192)
    assert base.dense.gain == pytest.approx(2**0.5 / 4)


def norm(x):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-8)


def conv(x, layer):
    return unbiased_conv(x, layer) + ops.convert_to_numpy(layer.bias)


def randomise_biases(model, rng):
    for variable in model.trainable_variables:
        if variable.path.endswith("bias"):
            variable.assign(rng.normal(size=variable.shape))


def test_the_generator_computes_the_papers_function_and_fades_in_rgb(rng):
    generator = small_generator()
    randomise_biases(generator, rng)
    latents = rng.normal(size=(2, 5)).astype("float32")
    kernel = ops.convert_to_numpy(generator.base.dense.kernel) * 2**0.5 / 4 / 5**0.5
    x = (norm(latents) @ kernel).reshape(2, 4, 4, 8) + ops.convert_to_numpy(generator.base.bias)
    x = norm(leaky(x))
    images = []
    for index, block in enumerate(generator.blocks):
        x = x.repeat(2, 1).repeat(2, 2) if index else x
        for layer in block:
            x = norm(leaky(conv(x, layer)))
        images.append(conv(x, generator.to_rgb[index]))
    for stage, alpha in ((0, 0.3), (1, 1.0), (2, 0.3)):
        generator.stage = stage
        generator.alpha.assign(alpha)
        expected = images[stage]
        if stage:
            old = images[stage - 1].repeat(2, 1).repeat(2, 2)
            expected = old * (1 - alpha) + expected * alpha
        np.testing.assert_allclose(generator.predict_on_batch(latents), expected, atol=1e-4)


def pooled(x):
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4))


def test_the_discriminator_computes_the_papers_function_and_fades_in_features(rng):
    discriminator = small_discriminator(stage=1)
    randomise_biases(discriminator, rng)
    discriminator.alpha.assign(0.3)
    images = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    x = leaky(conv(images, discriminator.from_rgb[1]))
    for layer in discriminator.blocks[0]:
        x = leaky(conv(x, layer))
    x = 0.3 * pooled(x) + 0.7 * leaky(conv(pooled(images), discriminator.from_rgb[0]))
    deviation = np.sqrt(x.var(0) + 1e-8).mean()
    x = np.concatenate([x, np.full((*x.shape[:3], 1), deviation)], -1)
    head = discriminator.head
    x = leaky(conv(x, head.convolution)).reshape(4, -1)
    for layer, activation in ((head.dense, leaky), (head.score, lambda x: x)):
        kernel = ops.convert_to_numpy(layer.kernel) * layer.gain / np.sqrt(layer.kernel.shape[0])
        x = activation(x @ kernel + ops.convert_to_numpy(layer.bias))
    np.testing.assert_allclose(discriminator.predict_on_batch(images), x, atol=1e-4)


def test_a_fused_generator_is_the_same_function(rng):
    latents = rng.normal(size=(2, 5)).astype("float32")
    plain, fused = small_generator(), small_generator(fused=True)
    fused.set_weights(plain.get_weights())
    expected = plain.predict_on_batch(latents)
    np.testing.assert_allclose(fused.predict_on_batch(latents), expected, atol=1e-4)


def test_the_plain_variant_has_the_given_widths_and_no_normalisation(rng):
    generator = small_generator(normalization=False)
    latents = rng.normal(size=(1, 5)).astype("float32")
    once, twice = (generator.predict_on_batch(latents * scale) for scale in (1, 2))
    # Without biases and normalisation a network of LeakyReLUs is homogeneous.
    np.testing.assert_allclose(twice, 2 * once, atol=1e-4)
    assert [block[-1].filters for block in generator.blocks] == list(WIDTHS)
    plain = small_discriminator(group_size=None)
    assert plain.predict_on_batch(np.zeros((3, 16, 16, 3), "float32")).shape == (3, 1)
    assert plain.head.convolution.kernel.shape[2] == WIDTHS[0]


def test_labels_join_the_latents_before_they_are_normalised_and_are_told_apart(rng):
    generator, discriminator = small_generator(label_size=3), small_discriminator(label_size=3)
    latents, labels = rng.normal(size=(4, 5)).astype("float32"), np.eye(4, 3, dtype="float32")
    joined = ops.convert_to_numpy(generator.first_features(latents, labels))
    scaled = ops.convert_to_numpy(generator.first_features(latents * 2, labels * 2))
    np.testing.assert_allclose(joined, scaled, atol=1e-4)
    generator.stage = discriminator.stage = 0
    scores, logits = discriminator(generator(latents, labels))
    assert tuple(scores.shape) == (4, 1) and tuple(logits.shape) == (4, 3)


def test_non_square_pictures_grow_from_a_non_square_base():
    generator = small_generator(base_shape=(4, 6))
    discriminator = small_discriminator(base_shape=(4, 6))
    assert generator.resolutions == discriminator.resolutions == ((4, 6), (8, 12), (16, 24))
    images = generator.predict_on_batch(np.zeros((1, 5), "float32"))
    assert images.shape == (1, 16, 24, 3) and discriminator.predict_on_batch(images).shape == (1, 1)


@pytest.mark.parametrize("stage", [0, 2])
def test_models_survive_their_configuration_and_their_file(tmp_path, rng, stage):
    x = {"generator": rng.normal(size=(2, 5)), "discriminator": rng.normal(size=(2, 16, 16, 3))}
    for name, model in (
        ("generator", small_generator(stage=stage, name="g")),
        ("discriminator", small_discriminator(stage=2, fused=True)),
    ):
        model.alpha.assign(0.25)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.get_config() == model.get_config() and float(again.alpha) == 0.25
        inputs = x[name].astype("float32")
        np.testing.assert_allclose(
            again.predict_on_batch(inputs), model.predict_on_batch(inputs), atol=1e-5
        )


def test_a_smaller_network_hands_its_weights_to_a_larger_one(rng):
    latents = rng.normal(size=(2, 5)).astype("float32")
    small = ProGANGenerator(8, latent_size=5, num_filters=WIDTHS[:2])
    large = small_generator(name="larger")
    assert large.load_smaller(small) == len(small.trainable_variables)
    large.stage = 1
    np.testing.assert_allclose(
        large.predict_on_batch(latents), small.predict_on_batch(latents), atol=1e-5
    )
    assert small_discriminator().load_smaller(ProGANDiscriminator(8, num_filters=WIDTHS[:2]))
    with pytest.raises(ValueError, match="Received: a ProGANDiscriminator$"):
        large.load_smaller(small_discriminator())
    with pytest.raises(ValueError, match="Received: base/base_dense/kernel of shape"):
        large.load_smaller(ProGANGenerator(8, latent_size=4, num_filters=WIDTHS[:2]))


def test_a_gradient_penalty_reaches_all_weights_in_use_and_has_the_right_size(rng, check_penalty):
    discriminator = ProGANDiscriminator(8, num_filters=(4, 3))
    discriminator.alpha.assign(0.5)
    images = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    gradients = check_penalty(discriminator, images, discriminator.blocks[0][0].kernel)
    for variable, gradient in zip(discriminator.trainable_variables, gradients, strict=True):
        assert gradient.any() or variable.path.endswith("bias"), variable.path


def test_mixed_precision_gives_float32_images_and_scores(rng):
    generator = small_generator(dtype="mixed_bfloat16")
    discriminator = small_discriminator(dtype="mixed_bfloat16")
    exact = small_generator()
    exact.set_weights(generator.get_weights())
    latents = rng.normal(size=(2, 5)).astype("float32")
    images = generator.predict_on_batch(latents)
    assert images.dtype == np.float32
    assert discriminator.predict_on_batch(images).dtype == np.float32
    assert np.abs(images - exact.predict_on_batch(latents)).mean() < 0.05


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: ProGANGenerator(48), "48"),
        (lambda: ProGANDiscriminator(2), "2"),
        (lambda: ProGANGenerator(16, base_shape=(4, 0)), r"\(4, 0\)"),
        (lambda: small_generator(stage=3), "3"),
        (lambda: ProGANGenerator(8, num_filters=(4,)), r"\(4,\)"),
        (
            lambda: ProGANGenerator(8, channel_base=0),
            "0",
        ),
        (lambda: small_generator().first_features(np.zeros((2, 4))), r"shape \(2, 4\)"),
        (lambda: small_generator(label_size=3).first_features(np.zeros((2, 5))), "shape None"),
        (lambda: small_generator().first_features(np.zeros((2, 5)), np.zeros((2, 3))), ".*"),
    ],
)
def test_wrong_settings_are_named(make, received):
    with pytest.raises(ValueError, match=f"Received: {received}$"):
        make()


def test_images_of_another_stage_and_indivisible_batches_are_refused():
    discriminator = small_discriminator(stage=1)
    with pytest.raises(ValueError, match=r"\(B, 8, 8, 3\). Received: shape \(4, 16, 16, 3\)"):
        discriminator(np.zeros((4, 16, 16, 3), "float32"))
    with pytest.raises(ValueError, match="Received: a batch of 6 for groups of 4"):
        discriminator(np.zeros((6, 8, 8, 3), "float32"))


def test_widths_follow_the_official_formula():
    assert stage_widths(9) == (512, 512, 512, 512, 256, 128, 64, 32, 16)
    assert stage_widths(9, 16384) == (512, 512, 512, 512, 512, 256, 128, 64, 32)
    layer = ProGANGenerator(8, num_filters=(4, 4)).blocks[1][0]
    assert isinstance(layer, EqualizedConv2D) and layer.resample == "up"
