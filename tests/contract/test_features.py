"""What every registered model's encoder keeps as a model of its own."""

import keras
import numpy as np
import pytest

from c2f_zoo import models
from c2f_zoo.backend import to_numpy
from c2f_zoo.hub import registered_models
from c2f_zoo.hub.registry import task_of
from tests.contract.small_models import SMALL

REGISTERED = registered_models()
MODELS = {name: REGISTERED[name.split("-")[0]] for name in SMALL}
# Whose inputs or strides differ from those of the small ones.
VARIANTS = {
    **SMALL,
    "PSMNet-cascade": lambda: models.PSMNet("cascade", max_disparity=16),
    "MultiscaleUNet-time": lambda: models.MultiscaleUNet(8, (1, 2), groups=4, attention=0),
    "MultiscaleUNet-mask": lambda: models.MultiscaleUNet(
        8, (1, 2), patch=2, mask=True, norm="pixel", attention=0, time_embedding=False
    ),
    "RestorationResNet-first": lambda: models.RestorationResNet(8, 1, False, scale=2),
    "DepthUNet-attention": lambda: models.DepthUNet(
        width=4, multipliers=(1, 2), groups=2, attention=1
    ),
}
STRIDES = {
    "PWCNet": (2, 4, 8, 16, 32, 64),
    "PWCNetLite": (2, 4, 8, 16, 32, 64),
    "RAFT": (2, 4, 8),
    "PSMNet": (2, 4),
    "PSMNet-cascade": (1, 2, 4),
    "PSMNetLite": (2, 4, 8, 16),
    "DepthUNet": (1, 2),
    "MultiscaleUNet": (1, 2),
    "MultiscaleUNet-mask": (2, 4),
    "RestorationResNet": (1,),
    "RestorationResNet-first": (0.5,),
    "SRParaConvNet": (0.5,),
    **dict.fromkeys(("ProGAN", "MSGGAN", "StyleGAN", "StyleGAN2"), (1, 2)),
}


def made(name):
    """A small model, its weights drawn so that no layer starts at zero."""
    keras.utils.set_random_seed(1)
    model, rng = VARIANTS[name](), np.random.default_rng(1)
    for weight in model.trainable_variables:
        if not np.any(to_numpy(weight)):
            weight.assign(0.05 * rng.normal(size=weight.shape))
    return model


def size_of(name):
    """Odd, or the one size of a discriminator."""
    model = REGISTERED[name.split("-")[0]]
    return (8, 8) if task_of(model) == "image_generation" else (37, 45)


def inputs_of(name, batch=4):
    rng, size = np.random.default_rng(0), size_of(name)
    images = rng.integers(0, 256, (batch, *size, 3)).astype("uint8")
    if name.endswith("-time"):
        return images, rng.random(batch).astype("float32")
    if name.endswith("-mask"):
        return images, (rng.random((batch, *size, 1)) > 0.5).astype("float32")
    return images


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_the_maps_have_the_strides_that_the_extractor_names(name):
    model, inputs = made(name), inputs_of(name)
    extractor = model.feature_extractor()
    maps, size = extractor(inputs), size_of(name)
    expected = STRIDES.get(name, STRIDES[name.split("-")[0]])
    assert extractor.strides == expected and len(maps) == len(expected)
    for features, stride in zip(maps, expected, strict=True):
        sides = [int(np.ceil(side / stride)) for side in size]
        assert tuple(features.shape[:3]) == (4, *sides)
        assert np.isfinite(to_numpy(features)).all()
    images, *rest = inputs if isinstance(inputs, tuple) else (inputs,)
    same = images / np.float32(255)
    for one, other in zip(maps, extractor((same, *rest) if rest else same), strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), atol=1e-4)


def answers(name, model, images):
    """What the network makes of images, and what it makes of the extractor's maps of them."""
    maps = model.feature_extractor()(images)
    if name in ("PWCNet", "PWCNetLite"):
        levels = [dict(enumerate([level[i : i + 1] for level in maps], 1)) for i in (0, 1)]
        return model(images[:2]), model.answer(model.estimate(*levels))
    if name == "RAFT":
        context = model.context_encoder(2.0 * images[:1] - 1.0)
        return model(images[:2]), model.enlarge(*model.refine(maps[-1][:1], maps[-1][1:2], context))
    if name == "RestorationResNet":
        return model(images), (model.close(maps[0]) + 1.0) / 2.0
    inputs = 2.0 * images - 1.0
    if name == "MSGGAN":
        inputs = models.image_pyramid(inputs, 2)
    return model.discriminator(inputs), model.discriminator.head(maps[-1])


@pytest.mark.parametrize(
    "name",
    ["PWCNetLite", "RAFT", "RestorationResNet", "ProGAN", "MSGGAN", "StyleGAN", "StyleGAN2"],
)
def test_the_maps_are_what_the_network_itself_goes_on_with(name):
    model, size = made(name), (8, 8) if size_of(name) == (8, 8) else (64, 64)
    images = np.random.default_rng(0).random((4, *size, 3)).astype("float32")
    expected, found = answers(name, model, images)
    np.testing.assert_allclose(to_numpy(found), to_numpy(expected), atol=1e-4)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_training_what_is_built_on_the_maps_trains_the_network_s_own_weights(name, tmp_path):
    network = made(name)
    extractor, images = network.feature_extractor(), inputs_of(name) / np.float32(255)
    owned = {id(weight) for weight in network.weights}
    assert extractor.trainable_weights and owned >= {id(weight) for weight in extractor.weights}
    # A minibatch standard deviation wants to know that its groups divide the batch.
    inputs = keras.Input((*size_of(name), 3), batch_size=4 if name == "MSGGAN" else None)
    pooled = [keras.layers.GlobalMaxPooling2D()(level) for level in extractor(inputs)]
    rates = [keras.layers.Dense(1, dtype="float32")(level) for level in pooled]
    model = keras.Model(inputs, keras.layers.Add()([*rates, rates[0]]))
    before = [to_numpy(weight).copy() for weight in extractor.trainable_weights]
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    model.fit(images, np.ones((4, 1), "float32"), batch_size=4, verbose=0)
    still = [
        weight.path
        for weight, old in zip(extractor.trainable_weights, before, strict=True)
        if np.array_equal(to_numpy(weight), old)
    ]
    # An earlier stage's own image layer is used while it fades alone; biases before an instance
    # normalization have no gradient but of rounding.
    assert not [path for path in still if "from_rgb" not in path and "bias" not in path]

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5
    )
    extractor.trainable = False
    assert not extractor.trainable_weights


@pytest.mark.backend_free
def test_wrong_inputs_are_refused():
    flow, gan = made("PWCNetLite").feature_extractor(), made("ProGAN").feature_extractor()
    for extractor, inputs in (
        (flow, np.zeros((2, 8, 8, 1), "float32")),
        (flow, np.zeros((2, 0, 8, 3), "float32")),
        (flow, [np.zeros((2, 8, 8, 3), "float32")] * 2),
        (flow, np.zeros((2, 8, 8, 3), "int32")),
        (gan, np.zeros((4, 16, 16, 3), "float32")),
    ):
        with pytest.raises(ValueError, match="Received"):
            extractor(inputs)
