"""Variance of the terms of the multilevel estimator, and the batch sizes that follow from it."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.training.micro_batches import added
from c2f_zoo.training.multilevel.model import Multilevel
from c2f_zoo.training.multilevel.schedule import MultilevelSchedule, MultilevelStage
from c2f_zoo.training.multilevel.stream import MultilevelStream


def gradient_variance(training, x, y=None, levels=3, samples=4, batches=32, seed=0):
    """Measure the variance of the terms of the multilevel estimator at the current weights.

    Leaves the weights, running statistics, optimizer state and random state unchanged.

    Args:
        training: A compiled `Multilevel`: its model, loss, restriction and `prepare` are used.
        x: Inputs: arrays (N, H, W, C), or a source as of `MultilevelStream`.
        y: Targets: arrays as of `Multilevel.fit`, or None.
        levels: Number of corrections to measure.
        samples: Samples in a batch.
        batches: Number of batches, at least 2.
        seed: Seed of the choice of samples.

    Returns:
        `GradientVariance`.

    Raises:
        ValueError: If `batches` is less than 2 or `Multilevel` does not accept the data.

    Source: Giles, Multilevel Monte Carlo path simulation, 2008: batch sizes follow from the
    variance of each level.

    Example:
        >>> network = keras.Sequential([keras.layers.Conv2D(3, 3, padding="same")])
        >>> training = Multilevel(network)
        >>> training.compile("adam", "mse")
        >>> images = np.random.default_rng(0).random((20, 16, 16, 3), dtype="float32")
        >>> found = gradient_variance(training, images, levels=1, batches=4)
        >>> len(found.terms), found.saving > 0
        (2, True)
    """
    batches = checks.whole("batches", batches, 2)
    arrays = x if y is None else (x, y)
    stage = MultilevelStage(0, (samples,), 0, None)
    source = MultilevelStream(arrays, MultilevelSchedule([stage])).source
    kept = [(v, ops.copy(v.value)) for v in training.model.variables]
    with backend.kept_global_seed():
        found = _variances(training, source, levels, samples, batches, seed)
    for variable, value in kept:
        variable.assign(value)  # the seeds of dropout among them
    return GradientVariance(found[0].variance, tuple(found[1:] if levels else found))


def _variances(training, source, levels, samples, batches, seed):
    """The variance on the finest mesh, then those of the terms."""
    pairs = [(mesh, mesh + 1) for mesh in range(levels)] + [(levels,)]
    found = []
    for meshes in [(0,), *pairs] if levels else [(0,)]:
        probe = _Probe(training, meshes, samples)
        random = np.random.default_rng(seed)
        draws = (
            source.samples(random.integers(0, len(source), samples), random) for _ in range(batches)
        )
        variance = samples * _total_variance(map(probe.gradient, draws))
        found.append(TermVariance(meshes, variance))
    return found


@dataclass(frozen=True)
class TermVariance:
    """Variance of one term of the estimator.

    Attributes:
        meshes: `(j, j + 1)` for a difference of two meshes, `(j,)` for a gradient on one.
        variance: Sum over all weights of the variance of one sample's gradient; that of a mean of
            N samples is an N-th of it.

    Example:
        >>> TermVariance((0, 1), 0.5).work
        1.25
    """

    meshes: tuple
    variance: float

    @property
    def work(self):
        """Work units of one sample: 4^-mesh for each mesh."""
        return sum(4.0**-mesh for mesh in self.meshes)


@dataclass(frozen=True)
class GradientVariance:
    """Variances of the terms of the multilevel estimator, finest first.

    Attributes:
        single: Variance of one sample's gradient on the finest mesh.
        terms: Tuple of `TermVariance`.

    Example:
        >>> terms = (TermVariance((0, 1), 0.1), TermVariance((1,), 1.0))
        >>> found = GradientVariance(1.0, terms)
        >>> found.of((1, 4)), found.batch_sizes(work=8)
        (0.35, (3, 19))
    """

    single: float
    terms: tuple

    def of(self, batch_sizes):
        """Variance of the estimator with given batch sizes.

        Args:
            batch_sizes: Samples of each term, finest first.

        Returns:
            float, to be compared with `single / N` of ordinary training.

        Raises:
            ValueError: If there is not one size for each term.
        """
        self._check(batch_sizes)
        return sum(term.variance / n for term, n in zip(self.terms, batch_sizes, strict=True))

    def work(self, batch_sizes):
        """Work units of a step with given batch sizes.

        Args:
            batch_sizes: Samples of each term, finest first.

        Returns:
            float.

        Raises:
            ValueError: If there is not one size for each term.
        """
        self._check(batch_sizes)
        return sum(term.work * n for term, n in zip(self.terms, batch_sizes, strict=True))

    def batch_sizes(self, work=16):
        """Batch sizes with the least variance for an amount of work.

        They are proportional to sqrt(variance / work), rounded to integers of at least 1, so that
        the work is met approximately.

        Args:
            work: Work units of a step.

        Returns:
            Tuple of integers, finest first, as a `MultilevelStage` takes them.
        """
        total = sum(math.sqrt(term.variance * term.work) for term in self.terms)
        return tuple(
            max(1, round(work * math.sqrt(term.variance / term.work) / total))
            for term in self.terms
        )

    @property
    def saving(self):
        """Work of ordinary training over that of the estimator, at equal variance.

        With the best batch sizes, not rounded. Below 1 the estimator costs more than it saves.
        """
        total = sum(math.sqrt(term.variance * term.work) for term in self.terms)
        return self.single / total**2

    def _check(self, batch_sizes):
        if len(batch_sizes) != len(self.terms):
            raise ValueError(
                f"batch_sizes must have one size for each of {len(self.terms)} terms. "
                f"Received: {batch_sizes}"
            )

    def __str__(self):
        rows = [("term", "variance of a sample", "of the fine gradient's", "work units")]
        for term in self.terms:
            name = " - ".join(f"1/{2**mesh}" for mesh in term.meshes)
            share = term.variance / self.single if self.single else math.nan
            rows.append((name, f"{term.variance:.4g}", f"{100 * share:.1f} %", f"{term.work:g}"))
        return "\n".join(f"{a:<12}{b:<22}{c:<24}{d}" for a, b, c, d in rows)


class _Probe(Multilevel):
    """Returns the gradient of one term and changes nothing."""

    def __init__(self, training, meshes, samples):
        stage = MultilevelStage(meshes[0], (samples,) * len(meshes), 0, None)
        super().__init__(
            training.model,
            restriction=training.restriction,
            schedule=MultilevelSchedule([stage]),
            prepare=training.prepare,
            seed=training.seed,
            name="probe",  # TensorFlow takes no name that begins with an underscore
        )
        self.meshes, self.samples = meshes, samples
        self.compile(keras.optimizers.SGD(0.0), training.loss, loss_weights=training.loss_weights)

    def gradient(self, batch):
        """Gradient of the term for a batch, as one vector over all weights."""
        parts = keras.utils.unpack_x_y_sample_weight(batch)
        return self.train_on_batch(*parts, return_dict=True)["gradient"]

    def compute_step(self, data, calls):
        batch = self._prepared(data)
        self._build_model(batch)
        weights = self.model.trainable_variables
        total = [None] * len(weights)
        for mesh, sign in zip(self.meshes, (1.0, -1.0), strict=False):
            _, found = self._mesh_gradients(calls, batch, mesh, weights)
            total = [added(t, f, sign) for t, f in zip(total, found, strict=True)]
        flat = [ops.reshape(ops.cast(part, "float32"), (-1,)) for part in total if part is not None]
        # With mixed_float16 Keras scales the loss.
        scale = self.optimizer.scale_loss(ops.ones(()))
        return {"gradient": ops.concatenate(flat) / scale}


def _total_variance(vectors):
    """Sum over all elements of the variance of vectors (Welford's algorithm)."""
    mean, squares = 0.0, 0.0
    for count, vector in enumerate(vectors, start=1):
        away = np.asarray(vector, np.float64) - mean
        mean = mean + away / count
        squares = squares + away * (vector - mean)
    return float(np.sum(squares)) / (count - 1)
