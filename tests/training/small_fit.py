"""A small model and its `fit`, for tests of callbacks."""

import keras
import numpy as np
from keras import ops

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


def compiled(units=4):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    return model


def fit(model, epochs, callbacks, first=0):
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    return model.fit(X, Y, initial_epoch=first, epochs=epochs, callbacks=callbacks, **options)


def weights(model):
    return np.concatenate([ops.convert_to_numpy(v).ravel() for v in model.weights])
