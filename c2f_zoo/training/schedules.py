"""Learning rates over training, as Keras schedules."""

import math

import keras
from keras import ops

from c2f_zoo import checks


@keras.saving.register_keras_serializable(package="c2f_zoo")
class WarmupPlateauCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rise linearly, hold the peak, then fall as half a cosine towards zero.

    A one-cycle schedule whose plateau can be lengthened after the fact: while it holds, the
    total is not yet used.

    Args:
        peak: Highest learning rate.
        warmup: Steps of the linear rise from `peak / 25`.
        hold: Step at which the fall begins.
        total: Step at which the rate reaches `peak / 1000`, and stays.

    Raises:
        ValueError: Not 0 <= warmup <= hold < total, or a peak that is not positive.

    Source: the one-cycle policy, Smith and Topin, arXiv 1708.07120; for PWC-Net as in Sun et al.,
    arXiv 2203.10712.

    Example:
        >>> schedule = WarmupPlateauCosine(1e-3, warmup=10, hold=50, total=100)
        >>> [round(float(schedule(step)), 6) for step in (0, 10, 50, 75, 100)]
        [4e-05, 0.001, 0.001, 0.0005, 1e-06]
    """

    def __init__(self, peak, warmup, hold, total):
        if not (0 <= warmup <= hold < total and peak > 0):
            raise ValueError(
                "WarmupPlateauCosine needs 0 <= warmup <= hold < total and a positive peak. "
                f"Received: peak={peak}, warmup={warmup}, hold={hold}, total={total}"
            )
        self.peak, self.warmup, self.hold, self.total = peak, warmup, hold, total

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = 1.0 if self.warmup == 0 else ops.minimum(step / self.warmup, 1.0)
        progress = ops.clip((step - self.hold) / (self.total - self.hold), 0.0, 1.0)
        fall = 0.5 * (1.0 + ops.cos(math.pi * progress))
        return self.peak * (0.04 + 0.96 * rise) * (0.001 + 0.999 * fall)

    def get_config(self):
        return {name: getattr(self, name) for name in ("peak", "warmup", "hold", "total")}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Rise linearly from a fraction of the peak, then fall linearly to nearly nothing.

    Args:
        peak: Highest learning rate, positive.
        total: Steps of the whole cycle, an integer of at least 3; then the rate stays.
        warmup: Share of the steps in which it rises, between 0 and 1.
        start: The first rate is `peak / start`.
        end: The last rate is `peak / start / end`.

    Raises:
        ValueError: If an argument is out of its range.

    Source: the one-cycle policy, Smith and Topin, arXiv 1708.07120, with straight lines as RAFT
    (arXiv 2003.12039) is trained.

    Example:
        >>> schedule = OneCycle(1e-3, total=200, warmup=0.105)
        >>> [round(float(schedule(step)), 5) for step in (0, 10, 20, 199)]
        [4e-05, 0.00052, 0.001, 0.0]
    """

    def __init__(self, peak, total, warmup=0.05, start=25.0, end=1e4):
        self.peak = checks.number("peak", peak, above=0)
        self.total = checks.whole("total", total, least=3)
        self.warmup = checks.number("warmup", warmup, above=0, below=1)
        self.start = checks.number("start", start, least=1)
        self.end = checks.number("end", end, least=1)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        first, last = self.peak / self.start, self.peak / self.start / self.end
        # Both ends are steps of the cycle. A warmup of less than a step begins at the peak.
        top = max(self.warmup * self.total - 1.0, 0.0)
        rise = ops.clip(step / top, 0.0, 1.0) if top else 1.0
        fall = ops.clip((step - top) / (self.total - 1.0 - top), 0.0, 1.0)
        return first + (self.peak - first) * rise + (last - self.peak) * fall

    def get_config(self):
        return {n: getattr(self, n) for n in ("peak", "total", "warmup", "start", "end")}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class PiecewiseCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Pass through given rates at given steps, along half a cosine between any two.

    Warmup, plateaus, falls and warm restarts are all of them such points.

    Args:
        steps: Increasing steps, two at least. Before the first and after the last the rate stays.
        rates: The learning rate at each of them.

    Raises:
        ValueError: If `steps` do not increase or `rates` are not one positive number for each.

    Source: cosine annealing with warm restarts, Loshchilov and Hutter, arXiv 1608.03983.

    Example:
        >>> two_falls = PiecewiseCosine([0, 10, 20, 21, 40], [1e-5, 1e-3, 1e-6, 1e-3, 1e-6])
        >>> [round(float(two_falls(step)), 6) for step in (0, 10, 15, 20, 21, 40, 50)]
        [1e-05, 0.001, 0.0005, 1e-06, 0.001, 1e-06, 1e-06]
    """

    def __init__(self, steps, rates):
        steps, rates = [float(step) for step in steps], [float(rate) for rate in rates]
        if (
            len(steps) < 2
            or len(steps) != len(rates)
            or any(a >= b for a, b in zip(steps, steps[1:], strict=False))
            or any(rate <= 0 for rate in rates)
        ):
            raise ValueError(
                "PiecewiseCosine needs two or more increasing steps and a positive rate for each. "
                f"Received: steps={steps}, rates={rates}"
            )
        self.steps, self.rates = steps, rates

    def __call__(self, step):
        step, rate = ops.cast(step, "float32"), self.rates[0]
        # The sum of the changes up to here.
        for begin, end, old, new in zip(
            self.steps, self.steps[1:], self.rates, self.rates[1:], strict=False
        ):
            progress = ops.clip((step - begin) / (end - begin), 0.0, 1.0)
            rate = rate + (new - old) * 0.5 * (1.0 - ops.cos(math.pi * progress))
        return rate

    def get_config(self):
        return {"steps": self.steps, "rates": self.rates}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """Halve the learning rate at given steps.

    Args:
        initial: Learning rate at step 0.
        steps: Increasing steps at which it is halved.

    Raises:
        ValueError: The steps do not increase, or the rate is not positive.

    Source: PWC-Net's S_long (arXiv 1709.02371, section 4): `Halving.long()`.

    Example:
        >>> [round(float(Halving(1.0, [10, 20])(step)), 2) for step in (0, 10, 25)]
        [1.0, 0.5, 0.25]
    """

    def __init__(self, initial, steps):
        steps = [int(step) for step in steps]
        if initial <= 0 or any(a >= b for a, b in zip(steps, steps[1:], strict=False)):
            raise ValueError(
                "Halving needs a positive rate and increasing steps. "
                f"Received: initial={initial}, steps={steps}"
            )
        self.initial, self.steps = initial, steps

    @classmethod
    def long(cls):
        """PWC-Net's S_long for FlyingChairs: 1e-4, halved at 400, 600, 800 and 1000 thousand.

        Returns:
            `Halving`; training stops at 1.2 million steps.
        """
        return cls(1e-4, [400_000, 600_000, 800_000, 1_000_000])

    @classmethod
    def fine(cls):
        """PWC-Net's S_fine for FlyingThings3D: 1e-5, halved at 200, 300 and 400 thousand.

        Returns:
            `Halving`; training stops at 500 thousand steps.
        """
        return cls(1e-5, [200_000, 300_000, 400_000])

    def __call__(self, step):
        step = ops.cast(step, "float32")
        passed = sum(ops.cast(step >= float(limit), "float32") for limit in self.steps)
        return self.initial * ops.power(0.5, passed)

    def get_config(self):
        return {"initial": self.initial, "steps": list(self.steps)}
