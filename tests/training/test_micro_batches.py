"""Steps in micro-batches: what they refuse, what a file keeps, what is counted once a step."""

import keras
import numpy as np
import pytest

from c2f_zoo import DepthUNet, StyleGAN2
from c2f_zoo.backend import to_numpy
from c2f_zoo.losses import MultilevelSmoothL1, MultiscaleDepthLoss
from c2f_zoo.models import RestorationResNet
from c2f_zoo.training import AdversarialTraining, MicroBatched, OneCycle, in_micro_batches


class Line(MicroBatched, keras.Model):
    """A network of one layer, with a regularizer and a loss of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layer = keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.1))

    def call(self, x):
        y = self.layer(x)
        self.add_loss(0.1 * keras.ops.mean(keras.ops.square(y)))
        return y


def data(count=12):
    random = np.random.default_rng(0)
    return random.normal(size=(count, 3)).astype("float32"), random.random((count, 2)) * 4


def line(micro_batches, optimizer=None, loss="mse", policy="float32"):
    keras.utils.set_random_seed(0)
    model = Line(dtype=policy)
    model(np.zeros((1, 3), "float32"))
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    model.compile(optimizer, loss, metrics=["mae"], micro_batches=micro_batches)
    return model


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_step_is_one_step_of_the_optimizer(policy):
    def trained(micro_batches):
        # A schedule counts steps; the average moves once in each; the norm is the whole gradient's.
        optimizer = keras.optimizers.Adam(
            OneCycle(0.1, 20), use_ema=True, ema_momentum=0.5, global_clipnorm=0.5, weight_decay=0.1
        )
        model = line(micro_batches, optimizer, policy=policy)
        x, y = data()
        logs = model.fit(x, y, batch_size=6, epochs=2, shuffle=False, verbose=0).history
        values = [to_numpy(v).astype("float32") for v in model.optimizer.variables]
        return values, [to_numpy(v) for v in model.trainable_variables], logs

    whole, parts = trained(1), trained(3)
    tolerance = 1e-6 if policy == "float32" else 2e-3
    for one, other in zip([*whole[0], *whole[1]], [*parts[0], *parts[1]], strict=True):
        np.testing.assert_allclose(other, one, atol=tolerance)
    for name, values in whole[2].items():
        np.testing.assert_allclose(parts[2][name], values, rtol=max(1e-5, tolerance))


def test_one_part_is_the_step_of_keras():
    model = line(1)
    assert model.micro_batches == 1
    with in_micro_batches(2):
        assert line(None).micro_batches == 2 and line(4).micro_batches == 4
    assert line(None).micro_batches == 1


def test_what_no_mean_of_parts_gives_is_refused():
    for given in (0, -1, 1.5, "two"):
        with pytest.raises(ValueError, match="micro_batches must be .*Received: "):
            line(given)
    with pytest.raises(ValueError, match="a mean over the batch.*Received: reduction='sum' of "):
        line(2, loss=keras.losses.MeanSquaredError("sum"))
    line(1, loss=keras.losses.MeanSquaredError("sum"))
    x, y = data(5)
    before = [to_numpy(v).copy() for v in line(2).trainable_variables]
    model = line(2)
    with pytest.raises(Exception, match="divisible by 2, the number of micro_batches"):
        model.fit(x, y, batch_size=5, verbose=0)
    for one, other in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(to_numpy(other), one)


@pytest.mark.parametrize("make", [DepthUNet, RestorationResNet])
def test_a_keras_file_keeps_the_number_of_parts(make, tmp_path):
    small = {"width": 4, "multipliers": (1, 2), "groups": 2}
    if make is RestorationResNet:
        small = {"width": 8, "blocks": 1, "time_embedding": False}
    model = make(**small)
    model.compile(micro_batches=2)
    x = np.random.default_rng(0).random((2, 16, 16, 3), dtype="float32")
    model.fit(x, x[..., : 1 if make is DepthUNet else 3] + 1.0, batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").micro_batches == 2


@pytest.mark.parametrize("loss", [MultilevelSmoothL1(max_disparity=5), MultiscaleDepthLoss()])
def test_total_weight_is_the_number_of_known_pixels(loss):
    truth = np.array([1.0, 0.0, 2.0, np.nan], "float32").reshape(2, 2, 1, 1)
    assert float(loss.total_weight(truth)) == 2
    assert float(loss.total_weight(truth, np.array([0.5, 3.0], "float32"))) == 3.5


def test_running_means_of_a_pair_move_once_a_step():
    settings = AdversarialTraining.named("stylegan2", style_mixing=0.0, path_length_shrink=1)
    random = np.random.default_rng(0)
    latents = ("discriminator_latents", "generator_latents", "path_latents")
    batch = {name: random.normal(size=(8, 4)).astype("float32") for name in latents}
    batch["images"] = random.integers(0, 256, (8, 8, 8, 3)).astype("uint8")
    batch["path_noise"] = random.normal(size=(8, 8, 8, 3)).astype("float32")

    def trained(micro_batches):
        keras.utils.set_random_seed(1)
        options = {"latent_size": 4, "w_size": 4, "mapping_depth": 2, "num_filters": (8, 4)}
        model = StyleGAN2(8, seed=0, **options)
        model.compile(settings, micro_batches=micro_batches)
        model.fit(batch, batch_size=8, verbose=0)
        average = model.generator.w_average
        return float(model.path_length_mean), to_numpy(average), int(model.images_shown)

    whole, parts = trained(1), trained(2)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-4)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-5)
    assert parts[2] == whole[2] == 8 and whole[0] > 0


def test_parts_that_the_groups_of_the_deviation_do_not_divide_are_refused():
    model = StyleGAN2(8, latent_size=4, w_size=4, mapping_depth=2, num_filters=(8, 4))
    model.compile(micro_batches=3)
    images = np.zeros((12, 8, 8, 3), "uint8")
    with pytest.raises(ValueError, match="must divide .*Received: micro_batches=3, a batch of 8"):
        model.fit(images[:8], batch_size=8, verbose=0)
    model.compile(micro_batches=2)
    with pytest.raises(ValueError, match="micro_batches or group_size"):
        model.fit(images, batch_size=12, verbose=0)
