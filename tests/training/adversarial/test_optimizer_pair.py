import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.training import AdversarialModel, TrainingState
from tests.training.adversarial.adversarial_toys import dense_batch, dense_pair

every = pytest.mark.parametrize("make", [keras.optimizers.Nadam, keras.optimizers.Adagrad])


def compiled(make):
    model = AdversarialModel(*dense_pair(), seed=5)
    model.compile("progan", make(0.01), make(0.01))
    return model


def fit(model, callback=None):
    callbacks = [callback] if callback else []
    model.fit(dense_batch(8), batch_size=4, shuffle=False, verbose=0, callbacks=callbacks)
    return model


def slots(model):
    return [to_numpy(variable) for variable in model.optimizer.variables]


def assert_as_new(model, make):
    for ours, initial in zip(slots(model), slots(compiled(make)), strict=True):
        np.testing.assert_array_equal(ours, initial)


@every
def test_these_optimizers_do_not_begin_with_zeros(make):
    optimizer = compiled(make).optimizer.generator
    slots = [v for v in optimizer.variables if v is not optimizer.learning_rate]
    assert any((to_numpy(slot) != 0).any() for slot in slots)


class ResetAfterEachStep(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        assert int(self.model.optimizer.generator.iterations) > 0
        self.model.reset_optimizers()


@every
def test_a_reset_during_fit_restores_what_an_optimizer_begins_with(make):
    assert_as_new(fit(compiled(make), ResetAfterEachStep()), make)


@every
def test_a_reset_does_not_restore_what_was_loaded(make, tmp_path):
    fit(compiled(make), TrainingState(tmp_path / "state.npz"))
    loaded = compiled(make)
    TrainingState(tmp_path / "state.npz").restore(loaded)
    assert int(loaded.optimizer.discriminator.iterations) == 2
    loaded.reset_optimizers()
    assert_as_new(loaded, make)


@every
def test_a_reset_does_not_restore_what_an_optimizer_brought_along(make):
    model = fit(compiled(make))
    model.compile("progan", model.optimizer.generator, model.optimizer.discriminator)
    assert int(model.optimizer.generator.iterations) == 2
    model.reset_optimizers()
    assert_as_new(model, make)
