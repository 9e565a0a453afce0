"""Tiny adversarial pairs: in Keras, and the dense one in numpy float64 as a slow, obvious truth."""

import keras
import numpy as np
from keras import ops

from c2f_zoo.layers import average_pool, upsample_nearest

LATENT = 3
SIZE = (2, 2, 1)
CLASSES = 3
RATE = 0.1  # of the plain gradient descent that shows what the gradients were


@keras.saving.register_keras_serializable(package="tests")
class DenseGenerator(keras.Model):
    """Latents -> two layers of styles -> pixel-normalised features -> a 2x2 picture."""

    latent_size = LATENT

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.map = self.add_weight(shape=(LATENT, 4), name="map")
        self.style0 = self.add_weight(shape=(4, 5), name="style0")
        self.style1 = self.add_weight(shape=(4, 5), name="style1")
        self.rgb = self.add_weight(shape=(5, 4), name="rgb")
        self.tracked = self.add_weight(shape=(), trainable=False, name="tracked")
        self.built = True

    def mapping(self, latents):
        styles = ops.tanh(ops.matmul(latents, self.map))
        return ops.stack([styles, styles], axis=1)

    def synthesis(self, styles):
        x = ops.matmul(styles[:, 0], self.style0) + ops.matmul(styles[:, 1], self.style1)
        x = ops.tanh(x)
        x = x / ops.sqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-2)
        return ops.reshape(ops.matmul(x, self.rgb), (-1, *SIZE))

    def call(self, latents):
        return self.synthesis(self.mapping(latents))


@keras.saving.register_keras_serializable(package="tests")
class DenseDiscriminator(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = self.add_weight(shape=(4, 6), name="hidden")
        self.bias = self.add_weight(shape=(6,), name="bias")
        self.score = self.add_weight(shape=(6, 1), name="score")
        self.built = True

    def call(self, images):
        x = ops.reshape(images, (-1, 4))
        return ops.matmul(ops.tanh(ops.matmul(x, self.hidden) + self.bias), self.score)


@keras.saving.register_keras_serializable(package="tests")
class LabelledGenerator(keras.Model):
    """Latents and labels -> a hidden layer -> a 2x2 picture."""

    latent_size, label_size = LATENT, CLASSES

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = self.add_weight(shape=(LATENT + CLASSES, 6), name="hidden")
        self.rgb = self.add_weight(shape=(6, 4), name="rgb")
        self.built = True

    def call(self, latents, labels):
        x = ops.tanh(ops.matmul(ops.concatenate([latents, labels], axis=-1), self.hidden))
        return ops.reshape(ops.tanh(ops.matmul(x, self.rgb)), (-1, *SIZE))


@keras.saving.register_keras_serializable(package="tests")
class LabelledDiscriminator(keras.Model):
    """A 2x2 picture -> a hidden layer -> a score and logits of the labels."""

    label_size = CLASSES

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = self.add_weight(shape=(4, 6), name="hidden")
        self.bias = self.add_weight(shape=(6,), name="bias")
        self.outputs_of = self.add_weight(shape=(6, 1 + CLASSES), name="outputs")
        self.built = True

    def call(self, images):
        x = ops.matmul(ops.reshape(images, (-1, 4)), self.hidden)
        outputs = ops.matmul(ops.tanh(x + self.bias), self.outputs_of)
        return outputs[:, :1], outputs[:, 1:]


def dense_pair(seed=0, labels=False):
    """The dense networks with weights that do not depend on the backend."""
    random = np.random.default_rng(seed)
    networks = DenseGenerator(), DenseDiscriminator()
    if labels:
        networks = LabelledGenerator(), LabelledDiscriminator()
    for network in networks:
        for weight in network.weights:
            weight.assign(random.normal(size=weight.shape).astype("float32") * 0.7)
    return networks


class Numpy:
    """The dense pair's losses, in numpy; `generator` and `discriminator` are lists of arrays."""

    @staticmethod
    def styles(generator, latents):
        return np.stack([np.tanh(latents @ generator[0])] * 2, axis=1)

    @staticmethod
    def synthesis(generator, styles):
        x = np.tanh(styles[:, 0] @ generator[1] + styles[:, 1] @ generator[2])
        x = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-2)
        return x @ generator[3]

    @classmethod
    def fake(cls, generator, latents):
        return cls.synthesis(generator, cls.styles(generator, latents))

    @staticmethod
    def scores(discriminator, images):
        hidden, bias, score = discriminator
        return np.tanh(images @ hidden + bias) @ score

    @classmethod
    def slope(cls, discriminator, images):
        """Gradient of the scores with respect to the images, (B, 4)."""
        return complex_step(lambda x: cls.scores(discriminator, x)[:, 0], images)

    @classmethod
    def path_lengths(cls, generator, latents, noise):
        styles = cls.styles(generator, latents)

        def probe(styles):
            return np.sum(cls.synthesis(generator, styles) * noise, axis=-1) / 2.0  # sqrt(H W)

        return np.sqrt(np.mean(np.sum(complex_step(probe, styles) ** 2, -1), -1))


def complex_step(function, x, step=1e-30):
    """Exact gradient of each sample's value: f(x + ih) = f(x) + ih f'(x), no difference taken."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape[1:]):
        moved = x.astype("complex128")
        moved[(slice(None), *index)] += 1j * step
        gradient[(slice(None), *index)] = function(moved).imag / step
    return gradient


def finite_differences(loss, weights, step=1e-5):
    """Gradients of a scalar function of a list of arrays, by central differences in float64."""
    gradients = []
    for number, weight in enumerate(weights):
        gradient = np.zeros(weight.shape)
        for index in np.ndindex(weight.shape):
            values = []
            for sign in (1, -1):
                moved = [w.copy() for w in weights]
                moved[number][index] += sign * step
                values.append(loss(moved))
            gradient[index] = (values[0] - values[1]) / (2 * step)
        gradients.append(gradient)
    return gradients


def descended(loss, weights):
    """The weights after a step of plain gradient descent."""
    gradients = finite_differences(loss, weights)
    return [w - RATE * g for w, g in zip(weights, gradients, strict=True)]


def trainable(network):
    return [ops.convert_to_numpy(v).astype("float64") for v in network.trainable_variables]


def assert_same_gradients(before, after, expected):
    """Compares what plain gradient descent did; gradients to 1e-3 of their largest element."""
    for old, ours, truth in zip(before, after, expected, strict=True):
        gradient, right = (old - ours) / RATE, (old - truth) / RATE
        np.testing.assert_allclose(gradient, right, rtol=1e-3, atol=1e-3 * np.abs(right).max())


def labelled_batch(size=8, seed=1):
    """As `dense_batch`, for the labelled pair."""
    random = np.random.default_rng(seed + 1)
    names = ("labels", "discriminator_labels", "generator_labels")
    labels = {name: random.integers(0, CLASSES, size) for name in names}
    batch = dense_batch(size, seed)
    return {name: batch[name] for name in batch if not name.startswith("path")} | labels


def dense_batch(size=8, seed=1):
    """Images and every random number of a step, as `AdversarialModel.fit` takes them."""
    random = np.random.default_rng(seed)

    def normal(*shape):
        return random.normal(size=(size, *shape)).astype("float32")

    return {
        "images": random.random((size, *SIZE), dtype="float32"),
        "discriminator_latents": normal(LATENT),
        "generator_latents": normal(LATENT),
        "path_latents": normal(LATENT),
        "path_noise": normal(*SIZE),
        "interpolation": random.random((size, 1, 1, 1), dtype="float32"),
    }


class Growing(keras.Model):
    """Base of both growing toys: `stage` is a Python integer, `alpha` a variable."""

    resolutions = ((2, 2), (4, 4), (8, 8))

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stage = 0
        self.alpha = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="alpha", dtype="float32"
        )
        self.traces = []

    def blend(self, old, new):
        return old + self.alpha * (new - old)


@keras.saving.register_keras_serializable(package="tests")
class GrowingGenerator(Growing):
    latent_size = LATENT

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.base = keras.layers.Dense(2 * 2 * 4, activation="tanh")
        self.base.build((None, LATENT))
        self.blocks = [keras.layers.Conv2D(4, 3, padding="same", activation="tanh") for _ in "12"]
        self.to_rgb = [keras.layers.Dense(3, dtype="float32") for _ in "012"]
        for layer in (*self.blocks, *self.to_rgb):
            layer.build((None, None, None, 4))
        self.built = True

    def call(self, latents):
        self.traces.append(self.stage)
        x = ops.reshape(self.base(latents), (-1, 2, 2, 4))
        image = self.to_rgb[0](x)
        for stage in range(1, self.stage + 1):
            old, x = self.to_rgb[stage - 1](x), self.blocks[stage - 1](upsample_nearest(x))
            image = self.to_rgb[stage](x)
            if stage == self.stage:
                image = self.blend(upsample_nearest(old), image)
        return image


@keras.saving.register_keras_serializable(package="tests")
class GrowingDiscriminator(Growing):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.from_rgb = [keras.layers.Dense(4, activation="tanh") for _ in "012"]
        self.blocks = [keras.layers.Conv2D(4, 3, padding="same", activation="tanh") for _ in "12"]
        self.score = keras.layers.Dense(1, dtype="float32")
        for layer in self.from_rgb:
            layer.build((None, None, None, 3))
        for layer in self.blocks:
            layer.build((None, None, None, 4))
        self.score.build((None, 16))
        self.built = True

    def call(self, images):
        x = self.from_rgb[self.stage](images)
        for stage in range(self.stage, 0, -1):
            x = average_pool(self.blocks[stage - 1](x), 2)
            if stage == self.stage:
                x = self.blend(self.from_rgb[stage - 1](average_pool(images, 2)), x)
        return self.score(ops.reshape(x, (-1, 16)))
