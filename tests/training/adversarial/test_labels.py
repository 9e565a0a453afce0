"""Labels: what both networks are asked of them, and that the generator learns to obey."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.data import ImageCache, ImageStream
from c2f_zoo.models.gans.progan import ProGANDiscriminator, ProGANGenerator
from c2f_zoo.training import AdversarialModel, AdversarialTraining, TrainingState
from c2f_zoo.training.adversarial.batch import as_labels
from c2f_zoo.training.adversarial.step import MicroBatch
from tests.training.adversarial.adversarial_toys import (
    CLASSES,
    LATENT,
    RATE,
    assert_same_gradients,
    complex_step,
    dense_pair,
    descended,
    labelled_batch,
    trainable,
)

PLAIN = AdversarialTraining(loss="logistic")
SETTINGS = {
    "wgan-gp": AdversarialTraining(penalty_target=2.0, label_weight=0.5),
    "logistic-r1": AdversarialTraining(loss="logistic-r1"),
}


def compiled(training=PLAIN, seed=5, **options):
    model = AdversarialModel(*dense_pair(labels=True), seed=seed)
    model.compile(training, **options)
    return model


def arrays(variables):
    return [ops.convert_to_numpy(variable) for variable in variables]


# The losses


def cross_entropy(labels, logits):
    return np.mean(np.log(np.exp(logits).sum(-1)) - np.sum(labels * logits, axis=-1))


def reference(training, generator, discriminator, batch):
    """The reports and the weights after one step of gradient descent, in float64."""
    softplus, is_wasserstein = (lambda x: np.logaddexp(x, 0.0)), training.loss == "wgan-gp"
    one_hot = {name: np.eye(CLASSES)[batch[name]] for name in batch if name.endswith("labels")}
    batch = {name: value.astype("float64") for name, value in batch.items()}

    def fakes(g, name):
        inputs = [batch[f"{name}_latents"], one_hot[f"{name}_labels"]]
        return np.tanh(np.tanh(np.concatenate(inputs, -1) @ g[0]) @ g[1])

    def judge(d, images):
        outputs = np.tanh(images @ d[0] + d[1]) @ d[2]
        return outputs[:, 0], outputs[:, 1:]

    real = batch["images"].reshape(-1, 4) * 2 - 1
    fake = fakes(generator, "discriminator")

    def penalty(d):
        share = batch["interpolation"].reshape(-1, 1) if is_wasserstein else 0.0
        slope = complex_step(lambda x: judge(d, x)[0], real + share * (fake - real))
        if not is_wasserstein:
            return 10 / 2 * np.mean(np.sum(slope**2, -1))
        target = training.penalty_target
        return 10 * np.mean((np.linalg.norm(slope, axis=-1) - target) ** 2) / target**2

    def adversarial(d):
        (reals, _), (forged, _) = judge(d, real), judge(d, fake)
        if is_wasserstein:
            return forged.mean() - reals.mean() + 0.001 * np.mean(reals**2)
        return softplus(forged).mean() + softplus(-reals).mean()

    def labelled(d):
        names, pictures = ("labels", "discriminator_labels"), (real, fake)
        both = zip(names, pictures, strict=True)
        losses = [cross_entropy(one_hot[name], judge(d, x)[1]) for name, x in both]
        return training.label_weight * sum(losses)

    report = {
        "d_loss": adversarial(discriminator),
        "d_label_loss": labelled(discriminator),
        "penalty": penalty(discriminator),
    }
    discriminator = descended(lambda d: adversarial(d) + labelled(d) + penalty(d), discriminator)

    def generator_losses(g):
        scores, logits = judge(discriminator, fakes(g, "generator"))
        adversarial = -scores.mean() if is_wasserstein else softplus(-scores).mean()
        return adversarial, training.label_weight * cross_entropy(
            one_hot["generator_labels"], logits
        )

    report["g_loss"], report["g_label_loss"] = generator_losses(generator)
    report["loss"] = sum(report.values())
    return report, descended(lambda g: sum(generator_losses(g)), generator), discriminator


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_agrees_with_numpy_on_losses_and_gradients(name):
    model = compiled(
        SETTINGS[name],
        generator_optimizer=keras.optimizers.SGD(RATE),
        discriminator_optimizer=keras.optimizers.SGD(RATE),
    )
    before, batch = (trainable(model.generator), trainable(model.discriminator)), labelled_batch()
    logs = model.train_on_batch(batch, return_dict=True)
    report, *expected = reference(SETTINGS[name], *before, batch)
    for key, value in report.items():
        assert float(logs[key]) == pytest.approx(value, rel=1e-4, abs=1e-4), key
    assert_same_gradients(before[0], trainable(model.generator), expected[0])
    assert_same_gradients(before[1], trainable(model.discriminator), expected[1])


def test_fakes_show_the_classes_of_the_batch():
    model = compiled()
    labels = ops.convert_to_tensor(np.eye(CLASSES, dtype="float32")[[0, 0, 0, 0, 1, 1, 2, 2]])
    step = MicroBatch(model, None, {"images": ops.zeros((8, 2, 2, 1)), "labels": labels})
    draws = [ops.convert_to_numpy(step.generator_labels()).argmax(-1) for _ in range(4)]
    assert all(sorted(draw) == [0, 0, 0, 0, 1, 1, 2, 2] for draw in draws)
    assert len({tuple(draw) for draw in draws}) > 1


# Training


def quadrants(size, seed=0):
    """Pictures of a class each: one pixel is lit, somewhat, and the others are dark."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, size)
    images = 0.2 * random.random((size, 4), dtype="float32")
    images[np.arange(size), labels] += 0.7
    return images.reshape(-1, 2, 2, 1), labels


def test_the_generator_learns_to_obey_its_label():
    images, labels = quadrants(1024)
    options = {"penalty_weight": 0.2, "label_weight": 0.3, "ema_decay": 0.9}
    model = compiled(AdversarialTraining(loss="logistic-r1", **options))
    model.set_learning_rates(2e-2, 2e-2)
    history = model.fit(images, labels, batch_size=32, epochs=8, verbose=0).history
    assert history["g_label_loss"][-1] < 0.05 < history["g_label_loss"][0]
    asked = np.arange(30) % CLASSES
    latents = np.random.default_rng(1).normal(size=(30, LATENT)).astype("float32")
    pictures = model.predict((latents, asked), verbose=0).reshape(30, 4)
    assert np.mean(pictures.argmax(-1) == asked) > 0.9


def test_a_stopped_run_continues_to_the_same_weights(tmp_path):
    images, labels = quadrants(16)

    def fit(model, epochs, first=0, **options):
        arguments = {"batch_size": 8, "shuffle": False, "verbose": 0, **options}
        model.fit(images, labels, initial_epoch=first, epochs=epochs, **arguments)
        return model

    unbroken = fit(compiled(), 2)
    fit(compiled(), 1, callbacks=[TrainingState(tmp_path / "state.npz")])
    resumed, state = compiled(), TrainingState(tmp_path / "state.npz")
    fit(resumed, 2, state.restore(resumed), callbacks=[state])
    for ours, theirs in zip(arrays(resumed.variables), arrays(unbroken.variables), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_labelled_stream_goes_into_fit_and_progan_learns_from_it(tmp_path):
    images, labels = np.zeros((8, 8, 8, 3), "uint8"), np.arange(8) % CLASSES
    cache = ImageCache.from_arrays(images, labels=labels, cache=tmp_path, progress=False)
    stream = ImageStream(cache, batch_size=4, labels=True)
    sizes = {"label_size": CLASSES, "num_filters": (4, 4)}
    generator = ProGANGenerator(8, latent_size=4, **sizes)
    model = AdversarialModel(generator, ProGANDiscriminator(8, **sizes), seed=0)
    model.compile(PLAIN)
    history = model.fit(stream, steps_per_epoch=2, verbose=0).history
    assert np.isfinite(history["d_label_loss"]).all() and int(model.images_shown) == 8
    model.save(tmp_path / "pair.keras")
    loaded = keras.saving.load_model(tmp_path / "pair.keras")
    inputs = (np.ones((3, 4), "float32"), np.eye(3, dtype="float32"))
    pictures, again = (to.predict_on_batch(inputs) for to in (model, loaded))
    np.testing.assert_allclose(again, pictures, atol=1e-6)
    assert pictures.shape == (3, 8, 8, 3) and not np.allclose(pictures[0], pictures[1])


# Forms of labels


@pytest.mark.parametrize(
    "labels",
    [
        np.array([2, 0, 1]),
        np.array([[2], [0], [1]], "uint8"),
        np.eye(3)[[2, 0, 1]],
        np.eye(3, dtype="int64")[[2, 0, 1]],
    ],
)
def test_labels_may_be_integers_or_one_hot(labels):
    expected = np.eye(3)[[2, 0, 1]]
    np.testing.assert_array_equal(ops.convert_to_numpy(as_labels(labels, 3)), expected)


def test_labels_out_of_range_are_refused_where_they_can_be_seen_and_no_number_elsewhere(
    monkeypatch,
):
    wrong = np.array([0, 3, -1])
    with pytest.raises(ValueError, match="from 0 to 2. Received: -1 to 3"):
        as_labels(wrong, 3)
    with pytest.raises(ValueError, match="from 0 to 2. Received: 0 to 3"):
        compiled().fit(np.zeros((4, 2, 2, 1), "uint8"), np.arange(4), verbose=0)
    monkeypatch.setattr("c2f_zoo.backend.visible_values", lambda array: None)
    rows = ops.convert_to_numpy(as_labels(wrong, 3))
    np.testing.assert_array_equal(np.isnan(rows).all(-1), [False, True, True])


IMAGES = np.zeros((4, 2, 2, 1), "uint8")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((IMAGES,), r"batches \(images, labels\). Received: \['images'\]"),
        ((IMAGES, np.zeros((4, 2))), r"\(B, 3\). Received: float.* of shape \(4, 2\)"),
        ((IMAGES, np.zeros(4, "float32")), r"integers \(B,\).*Received: float32 of shape \(4,\)"),
        (({"images": IMAGES, "labels": np.arange(4)}, np.arange(4)), "labels once"),
    ],
)
def test_a_batch_that_does_not_fit_is_named(batch, message):
    with pytest.raises(ValueError, match=message):
        compiled().train_on_batch(*batch)


def test_networks_and_inputs_that_do_not_fit_are_named():
    labelled, plain = dense_pair(labels=True), dense_pair()
    with pytest.raises(ValueError, match="label_size=3 of .*, 0 of"):
        AdversarialModel(labelled[0], plain[1])
    latents = np.zeros((2, LATENT), "float32")
    with pytest.raises(ValueError, match=r"\(latents, labels\). Received: 1 inputs"):
        AdversarialModel(*labelled)(latents)
    with pytest.raises(ValueError, match="latents alone. Received: 2 inputs"):
        AdversarialModel(*plain)((latents, np.zeros(2, "int64")))
    plain[0].label_size = plain[1].label_size = 3
    with pytest.raises(ValueError, match="without mapping"):
        AdversarialModel(*plain).compile()
