"""Every registered model trains in micro-batches as it trains on the whole batch."""

import numpy as np
import pytest

from c2f_zoo.training import ClippedAdamW, Multilevel, MultilevelSchedule, averaged_weights
from c2f_zoo.training.batch_statistics import batch_normalizations, update_batch_statistics
from tests.contract.same_training import (
    BATCH,
    GENERATIVE,
    OTHERS,
    STEPS,
    Batches,
    agree,
    fitted,
    pair,
    pair_batch,
    small,
    state,
    wide_batch,
)


def frozen_statistics(model, inputs):
    """Have batch normalization use statistics of the inputs, as running ones, in training too."""
    layers = batch_normalizations(model)
    update_batch_statistics(model, [inputs])
    for layer in layers:
        layer.trainable = False


def partly_known(case):
    """A batch of which every sample has another share of known pixels."""
    inputs, truth = wide_batch(case)
    if truth.shape[-1] == 3:
        return inputs, truth
    known = np.ones((*truth.shape[:3], 1), "float32")
    for index in range(len(truth)):
        known[index, : 4 * index] = 0.0
    return inputs, np.where(known, truth, np.nan).astype("float32"), known


@pytest.mark.parametrize("name", OTHERS)
def test_micro_batches_train_as_the_batch(name):
    def trained(micro_batches):
        model, case = small(name)
        inputs, *rest = partly_known(case)
        frozen_statistics(model, inputs)
        # The norm of the gradient of the whole batch, and an average of the weights; parts of
        # which each has another number of known pixels.
        options = {"use_ema": True, "ema_momentum": 0.5, "epsilon": 1e-2}
        model.compile(
            ClippedAdamW(1e-2, clip_norm=1.0, weight_decay=0.0, **options),
            micro_batches=micro_batches,
        )
        weights = {"sample_weight": rest[1]} if rest[1:] else {}
        found = fitted(model, inputs, rest[0], batch_size=BATCH, epochs=2, **weights)
        with averaged_weights(model):
            return {**found, "average": state(model)}

    agree(trained(1), trained(4))


@pytest.mark.parametrize("name", GENERATIVE)
def test_micro_batches_train_a_pair_as_the_batch(name):
    # Losses and targets that are no means over samples are left out.
    changes = {"loss": "wgan-gp"} if name == "MSGGAN" else {"path_length_decay": 0.0}
    batch = pair_batch(name, np.random.default_rng(3))

    def trained(micro_batches):
        model = pair(name, micro_batches, **changes)
        if hasattr(model.generator, "alpha"):
            model.set_alpha(0.5)
        return fitted(model, batch, batch_size=BATCH)

    agree(trained(1), trained(2), tolerance=2e-5)


def test_micro_batches_take_multilevel_steps_of_the_zoos_network_as_the_batch():
    schedule = MultilevelSchedule.multiscale(levels=2, batch_size=2)
    images = np.random.default_rng(0).random((STEPS, 14, 32, 32, 3)).astype("float32")

    def trained(micro_batches):
        model, _ = small("MultiscaleUNet")
        training = Multilevel(model, schedule=schedule)
        optimizer = ClippedAdamW(1e-2, clip_norm=1.0, weight_decay=0.0, epsilon=1e-2)
        training.compile(optimizer, "mse", metrics=["mae"], micro_batches=micro_batches)
        return fitted(model, Batches(images), training=training)

    # Of the terms' 2, 4 and 8 samples, in 2, 4 and 4 parts.
    agree(trained(1), trained(4))
