"""Which mesh, which corrections and how many samples a multilevel training step takes."""

import bisect
import dataclasses
from fractions import Fraction

from c2f_zoo import checks

MODES = ("single", "multiscale", "fullmultiscale")


@dataclasses.dataclass(frozen=True)
class MultilevelStage:
    """Consecutive training steps with one estimator of the gradient.

    Mesh 0 is the full image, mesh m has 1 / 2^m of its height and width. The estimator of a stage
    with `corrections` = L on mesh m is

        sum over j < L of [grad on mesh m + j  -  grad on mesh m + j + 1]  +  grad on mesh m + L,

    each term on its own batch.

    Attributes:
        mesh: The stage's finest mesh, >= 0.
        batch_sizes: Samples of each term, the finest first: `corrections` + 1 integers.
        start: First step.
        end: Step after the last one, or None for no end.

    Source: arXiv 2501.12739.

    Example:
        >>> stage = MultilevelStage(mesh=0, batch_sizes=(16, 32), start=0, end=100)
        >>> stage.corrections, stage.samples, stage.work
        (1, 48, Fraction(28, 1))
    """

    mesh: int
    batch_sizes: tuple
    start: int
    end: int | None

    @property
    def corrections(self):
        """Number of differences between two meshes."""
        return len(self.batch_sizes) - 1

    @property
    def samples(self):
        """Samples of all terms in one step."""
        return sum(self.batch_sizes)

    @property
    def coarsest(self):
        """Number of the coarsest mesh."""
        return self.mesh + self.corrections

    @property
    def work(self):
        """Work units of one step, an exact `Fraction`.

        A unit is a forward and a backward pass of one sample on mesh 0; on mesh m it costs
        4^-m as much.
        """
        total = Fraction(0)
        for term, count in enumerate(self.batch_sizes):
            mesh = self.mesh + term
            total += Fraction(count, 4**mesh)
            if term < self.corrections:
                total += Fraction(count, 4 ** (mesh + 1))
        return total


@dataclasses.dataclass(frozen=True)
class MultilevelSchedule:
    """The stages of a multilevel training; immutable.

    `single`, `multiscale` and `full_multiscale` build the three schemes of the paper.

    Args:
        stages: `MultilevelStage`s, each beginning where the last one ended.

    Raises:
        ValueError: If there is no stage, stages do not follow each other, or a mesh or batch size
            is out of range.

    Source: arXiv 2501.12739 (MGE and Full-Multiscale).

    Example:
        >>> print(MultilevelSchedule.full_multiscale(levels=2, iterations=(400, 200, 100)))
        steps       image      samples             work units
        0-400       1/4        64                  4
        400-600     1/2        32 64               14
        600-700     1/1        16 32 64            34
        >>> MultilevelSchedule.multiscale(levels=3, batch_size=4).at(10**9).batch_sizes
        (4, 8, 16, 32)
    """

    stages: tuple

    def __post_init__(self):
        stages = tuple(self.stages)
        if not stages:
            raise ValueError(f"A schedule must have at least one stage. Received: {stages}")
        step = 0
        for number, stage in enumerate(stages):
            checks.whole("mesh", stage.mesh, 0)
            for size in stage.batch_sizes:
                checks.whole("each of batch_sizes", size, 1)
            if not stage.batch_sizes:
                raise ValueError(f"batch_sizes of a stage must not be empty. Received: {stage}")
            is_last = number == len(stages) - 1
            follows = stage.start == step and (
                stage.end is None and is_last or stage.end is not None and stage.end > step
            )
            if not follows:
                raise ValueError(
                    f"Stage {number} must begin at step {step} and end later; only the last may "
                    f"have no end. Received: steps {stage.start} to {stage.end}"
                )
            step = stage.end
        object.__setattr__(self, "stages", stages)  # the way past `frozen`

    def __iter__(self):
        return iter(self.stages)

    @classmethod
    def single(cls, batch_size=16, iterations=None):
        """Ordinary training on the full image.

        Args:
            batch_size: Samples in a step.
            iterations: Steps, or None for as many as `fit` takes.

        Returns:
            `MultilevelSchedule`.

        Raises:
            ValueError: If a number is out of range.

        Example:
            >>> MultilevelSchedule.single(16).at(0).work
            Fraction(16, 1)
        """
        return cls([MultilevelStage(0, (batch_size,), 0, _end(iterations))])

    @classmethod
    def multiscale(cls, levels=3, batch_size=16, batch_factor=2, iterations=None):
        """Multiscale gradient estimation (MGE) on the full image.

        Args:
            levels: Number of corrections: with 3 the coarsest image has an eighth of the height
                and width.
            batch_size: Samples of the finest correction, N1.
            batch_factor: Ratio of a coarser term's samples to those of the term before; 1 is the
                constant batch of the released code.
            iterations: Steps, or None for as many as `fit` takes.

        Returns:
            `MultilevelSchedule`.

        Raises:
            ValueError: If a number is out of range.

        Example:
            >>> MultilevelSchedule.multiscale(batch_factor=1).at(0).work  # as the release
            Fraction(53, 2)
        """
        sizes = _growing(checks.whole("levels", levels, 0), batch_size, batch_factor)
        return cls([MultilevelStage(0, sizes, 0, _end(iterations))])

    @classmethod
    def full_multiscale(
        cls, levels=3, iterations=(2000, 1000, 500, 250), batch_sizes=None, batch_factor=2
    ):
        """Full-Multiscale: from the coarsest mesh to the finest, the weights carried over.

        Stage j of L + 1 trains on mesh L - j with j corrections.

        Args:
            levels: How often the image is halved for the first stage, L.
            iterations: Steps of each stage, `levels` + 1 integers.
            batch_sizes: Samples of each stage's finest term; by default 16 * 2^(L - j).
            batch_factor: As for `multiscale`, within each stage.

        Returns:
            `MultilevelSchedule`.

        Raises:
            ValueError: If a number is out of range, or there is not one for each stage.

        Example:
            >>> released = MultilevelSchedule.full_multiscale(batch_factor=1)
            >>> float(released.work(released.total))
            23125.0
        """
        levels = checks.whole("levels", levels, 0)
        if batch_sizes is None:
            batch_sizes = [16 * 2 ** (levels - stage) for stage in range(levels + 1)]
        for name, values in (("iterations", iterations), ("batch_sizes", batch_sizes)):
            if len(values) != levels + 1:
                raise ValueError(
                    f"{name} must have a number for each of the {levels + 1} stages. "
                    f"Received: {values}"
                )
        stages, start = [], 0
        for number, (steps, size) in enumerate(zip(iterations, batch_sizes, strict=True)):
            end = start + checks.whole("each of iterations", steps, 1)
            sizes = _growing(number, size, batch_factor)
            stages.append(MultilevelStage(levels - number, sizes, start, end))
            start = end
        return cls(stages)

    @property
    def total(self):
        """Steps of all stages, or None if the last one has no end."""
        return self.stages[-1].end

    @property
    def divisor(self):
        """Number that height and width must be divisible by for the coarsest mesh."""
        return 2 ** max(stage.coarsest for stage in self.stages)

    def at(self, step):
        """Return the stage of a step; after the end, the last one.

        Args:
            step: Number of the step, from 0.

        Returns:
            `MultilevelStage`.
        """
        step = checks.whole("step", step, 0)
        return self.stages[bisect.bisect_right(self.stages, step, key=lambda s: s.start) - 1]

    def work(self, steps):
        """Sum the work units of the first steps.

        Args:
            steps: Number of steps.

        Returns:
            `Fraction`, see `MultilevelStage.work`.
        """
        return self._summed(steps, lambda stage: stage.work)

    def samples(self, steps):
        """Sum the samples of the first steps.

        Args:
            steps: Number of steps.

        Returns:
            int.
        """
        return self._summed(steps, lambda stage: stage.samples)

    def _summed(self, steps, of_stage):
        steps = checks.whole("steps", steps, 0)
        ends = (*(min(steps, stage.end) for stage in self.stages[:-1]), steps)
        pairs = zip(self.stages, ends, strict=True)
        return sum(max(0, end - stage.start) * of_stage(stage) for stage, end in pairs)

    def __str__(self):
        rows = [("steps", "image", "samples", "work units")]
        for stage in self.stages:
            rows.append(
                (
                    f"{stage.start}-{'' if stage.end is None else stage.end}",
                    f"1/{2**stage.mesh}",
                    " ".join(map(str, stage.batch_sizes)),
                    f"{float(stage.work):g}",
                )
            )
        return "\n".join(f"{a:<12}{b:<11}{c:<20}{d}" for a, b, c, d in rows)


def schedule_of(mode, levels=3, batch_size=16, batch_factor=2):
    """Build the `MultilevelSchedule` of a mode: "single", "multiscale" or "fullmultiscale".

    "fullmultiscale" has 2000 steps in its first stage and half as many in each further one;
    `batch_size` is that of its last stage, and each stage before has twice as many as the next.
    """
    checks.one_of("mode", mode, MODES)
    if mode == "single":
        return MultilevelSchedule.single(batch_size)
    if mode == "multiscale":
        return MultilevelSchedule.multiscale(levels, batch_size, batch_factor)
    stages = range(checks.whole("levels", levels, 0) + 1)
    return MultilevelSchedule.full_multiscale(
        levels,
        [max(1, 2000 // 2**stage) for stage in stages],
        [batch_size * 2 ** (levels - stage) for stage in stages],
        batch_factor,
    )


def _growing(corrections, first, factor):
    first = checks.whole("batch_size", first, 1)
    factor = checks.number("batch_factor", factor, above=0)
    return tuple(max(1, round(first * factor**term)) for term in range(corrections + 1))


def _end(iterations):
    return None if iterations is None else checks.whole("iterations", iterations, 1)
