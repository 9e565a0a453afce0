"""The generative models as wholes: config, presets, training by default, growing further."""

import keras
import numpy as np
import pytest

from c2f_zoo import backend
from c2f_zoo.data import ImageCache, ImageStream
from c2f_zoo.hub import PresetError
from c2f_zoo.models import (
    MSGGAN,
    MSGDiscriminator,
    MSGGenerator,
    MSGStyleGANDiscriminator,
    MSGStyleGANGenerator,
    ProGAN,
    ProGANDiscriminator,
    ProGANGenerator,
    StyleGAN,
    StyleGAN2,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    StyleGANDiscriminator,
    StyleGANGenerator,
)
from c2f_zoo.training import AdversarialModel, GrowthSchedule, ProgressiveGrowth

MODELS = {
    ProGAN: {},
    StyleGAN: {"w_size": 6, "mapping_depth": 2},
    StyleGAN2: {"w_size": 6, "mapping_depth": 2},
    MSGGAN: {"combine": "cat_lin"},
}


def make(model_class, resolution=16, **options):
    widths = (8, 6, 4, 4)[: len(bin(resolution)) - 4]
    options = {"latent_size": 5, "num_filters": widths, "seed": 3, **options}
    return model_class(resolution, **MODELS[model_class], **options)


def test_multiscale_gradients_on_style_based_networks(tmp_path):
    options = {"latent_size": 5, "w_size": 6, "mapping_depth": 2, "num_filters": (8, 4)}
    model = MSGGAN(8, architecture="stylegan", seed=0, **options)
    model.compile()
    assert model.settings.loss == "logistic-r1" and model.discriminator.combine == "cat_lin"
    assert model.generate(2, seed=0, truncation=0.7).shape == (2, 8, 8, 3)
    model.save_pretrained(tmp_path / "preset")
    loaded = MSGGAN.from_pretrained(tmp_path / "preset")
    np.testing.assert_allclose(loaded.generate(2, seed=0), model.generate(2, seed=0), atol=1e-6)
    with pytest.raises(ValueError, match="Received: 'dcgan'"):
        MSGGAN(8, architecture="dcgan")


@pytest.mark.parametrize(
    ("network", "positional"),
    [
        (ProGANGenerator, (8, 4, 0)),
        (ProGANDiscriminator, (8, 0)),
        (StyleGANGenerator, (8, 4, 4)),
        (StyleGANDiscriminator, (8, True)),
        (StyleGAN2Generator, (8, 4, 4)),
        (StyleGAN2Discriminator, (8, 64)),
        (MSGGenerator, (8, 4, 0)),
        (MSGDiscriminator, (8, "simple")),
        (MSGStyleGANGenerator, (8, 4, 4)),
        (MSGStyleGANDiscriminator, (8, "cat_lin")),
    ],
)
def test_networks_take_only_resolution_and_latent_size_by_position(network, positional):
    with pytest.raises(TypeError, match="positional argument"):
        network(*positional)


every = pytest.mark.parametrize("model_class", MODELS)
styled = pytest.mark.parametrize("model_class", [StyleGAN, StyleGAN2])


@every
def test_a_model_is_rebuilt_from_its_config(model_class):
    model = make(model_class, base_shape=(4, 6), group_size=2)
    copy = model_class.from_config(model.get_config())
    shapes = [[tuple(weight.shape) for weight in each.weights] for each in (model, copy)]
    assert shapes[0] == shapes[1]
    assert copy.generate(1, seed=0).shape == (1, 16, 24, 3)


@every
def test_a_preset_makes_the_same_pictures_and_trains_on(model_class, tmp_path):
    model = make(model_class, 8)
    keras.utils.set_random_seed(0)
    for weight in model.ema_generator.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    model.save_pretrained(tmp_path / "preset")
    loaded = model_class.from_pretrained(tmp_path / "preset")
    np.testing.assert_allclose(loaded.generate(3, seed=5), model.generate(3, seed=5), atol=1e-6)
    for ours, average in zip(loaded.generator.weights, loaded.ema_generator.weights, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(ours), backend.to_numpy(average))
    loaded.compile()
    loaded.fit(np.zeros((4, 8, 8, 3), "uint8"), batch_size=4, verbose=0)
    assert int(loaded.images_shown) == 4


def test_a_preset_holds_each_network_once(tmp_path):
    import h5py

    make(ProGAN, 8).save_pretrained(tmp_path / "preset")
    with h5py.File(tmp_path / "preset" / "model.weights.h5") as file:
        held = {name.split("/")[0] for name in file}
    assert {"generator", "discriminator"} <= held and "ema_generator" not in held


def test_a_preset_of_another_resolution_or_class_is_refused(tmp_path):
    make(ProGAN, 8).save_pretrained(tmp_path / "preset")
    with pytest.raises(PresetError, match="do not fit the model"):
        ProGAN.from_pretrained(tmp_path / "preset", resolution=16, num_filters=(8, 6, 4))
    with pytest.raises(PresetError, match="holds a ProGAN, not a StyleGAN"):
        StyleGAN.from_pretrained(tmp_path / "preset")


@every
def test_a_saved_model_continues(model_class, tmp_path):
    model = make(model_class, 8)
    model.compile()
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype("uint8")
    model.fit(images, batch_size=4, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, model_class) and int(loaded.images_shown) == 8
    for each in (model, loaded):
        each.fit(images, batch_size=4, verbose=0, shuffle=False)
    np.testing.assert_allclose(loaded.generate(2, seed=0), model.generate(2, seed=0), atol=1e-5)


@pytest.mark.parametrize("model_class", [ProGAN, StyleGAN])
def test_a_trained_model_grows_further(model_class):
    model = make(model_class, 8)
    before = model.generate(2, seed=0)
    larger = model.grown(16)
    assert isinstance(larger, AdversarialModel) and larger.stage == 1
    np.testing.assert_allclose(larger.generate(2, seed=0), before, atol=1e-6)
    schedule = GrowthSchedule.by_images(
        16, first_stage=larger.stage, stabilise=8, fade=8, batch_sizes=4
    )
    larger.compile()
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3)).astype("uint8")
    larger.fit(images, batch_size=4, epochs=9, verbose=0, callbacks=[ProgressiveGrowth(schedule)])
    assert larger.stage == 2 and int(larger.images_shown) == 24
    assert larger.generate(2, seed=0).shape == (2, 16, 16, 3)


def test_a_schedule_does_not_shrink_what_was_trained(tmp_path):
    make(ProGAN, 8).save_pretrained(tmp_path / "preset")
    loaded = ProGAN.from_pretrained(tmp_path / "preset")
    for model in (loaded, make(ProGAN, 8).grown(16)):
        model.compile()
        resolution = model.resolution[0]
        images = np.zeros((4, resolution, resolution, 3), "uint8")
        growth = ProgressiveGrowth(GrowthSchedule.by_images(resolution, batch_sizes=4))
        with pytest.raises(ValueError, match="first_stage=1.* Received: .*begins at 4x4"):
            model.fit(images, batch_size=4, verbose=0, callbacks=[growth])
        assert model.stage == 1 and int(model.images_shown) == 0
    schedule = GrowthSchedule.by_images(8, first_stage=1, batch_sizes=4)
    images = np.zeros((4, 8, 8, 3), "uint8")
    loaded.fit(images, batch_size=4, verbose=0, callbacks=[ProgressiveGrowth(schedule)])
    assert loaded.stage == 1 and int(loaded.images_shown) == 4
    anew = ProGAN.from_pretrained(tmp_path / "preset", stage=0)
    assert anew.trained_stage == 0


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_transparent_images_train_from_a_cache(channels, tmp_path, rng):
    images = rng.integers(0, 256, (8, 4, 4, channels), dtype=np.uint8)
    cache = ImageCache.from_arrays(images, channels=channels, cache=tmp_path, progress=False)
    model = make(ProGAN, 4, image_channels=channels)
    model.compile()
    model.fit(ImageStream(cache, batch_size=4), steps_per_epoch=2, verbose=0)
    assert int(model.images_shown) == 8
    assert model.generate(2, seed=0).shape == (2, 4, 4, channels)


@pytest.mark.backend_free
def test_quantising_a_network_alone_is_refused_too():
    model = make(ProGAN, 8)
    for network in (model.generator, model.discriminator):
        name = type(network).__name__
        with pytest.raises(NotImplementedError, match=f"^{name} cannot.*Received: .*int8"):
            network.quantize("int8")


def test_a_model_that_grows_in_the_middle_of_a_fade_makes_the_same_pictures():
    model = make(ProGAN, 8)
    model.set_alpha(0.25)
    before = model.generate(2, seed=0)
    larger = model.grown(16)
    assert float(larger.discriminator.alpha) == 0.25
    np.testing.assert_allclose(larger.generate(2, seed=0), before, atol=1e-6)
    assert float(model.grown(16, stage=2).generator.alpha) == 1.0  # of another stage's fade


def test_a_grown_model_must_be_larger_and_fit():
    model = make(ProGAN, 8)
    with pytest.raises(ValueError, match="larger than 8. Received: 8"):
        model.grown(8)
    with pytest.raises(ValueError, match="power of two. Received: 20"):
        model.grown(20)
    with pytest.raises(ValueError, match="does not fit"):
        model.grown(16, num_filters=(9, 6, 4))


@every
def test_resolutions_that_cannot_be_are_refused(model_class):
    with pytest.raises(ValueError, match="power of two. Received: 24"):
        model_class(24)


def test_a_batch_that_the_groups_do_not_divide_is_refused():
    model = make(ProGAN, 8)
    model.compile()
    with pytest.raises(Exception, match="group"):
        model.fit(np.zeros((6, 8, 8, 3), "uint8"), batch_size=6, verbose=0)


@every
def test_precision_reaches_the_networks(model_class):
    model = make(model_class, 8, dtype="mixed_bfloat16")
    assert model.generator.compute_dtype == "bfloat16"
    assert model.generate(1, seed=0).dtype == np.float32


@pytest.mark.backend_free
def test_published_sizes_by_default():
    assert ProGAN.__init__.__defaults__[:2] == (1024, 512)
    model = ProGAN(64)
    assert sum(np.prod(w.shape) for w in model.generator.trainable_variables) == 22_490_383
