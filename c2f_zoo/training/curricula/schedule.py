"""The schedule of a growing resolution: sizes, batches, rates and regularisation over training."""

import dataclasses
import math

from c2f_zoo import checks
from c2f_zoo.training.curricula.stages import (
    EFFICIENTNETV2,
    PRESETS,
    as_size,
    composer_stages,
    divided,
    equal_memory_batch,
    equal_parts,
    rounded,
    stage_rates,
)
from c2f_zoo.training.curricula.states import ResolutionStage, ResolutionState
from c2f_zoo.training.phases import PhasedSchedule, table


@dataclasses.dataclass(frozen=True)
class ResolutionSchedule(PhasedSchedule):
    """Resolution, batch size, learning rate and regularisation as functions of the images shown.

    `at(images)` is the state, iterating gives the stages, and `print` a table. `listed`, `linear`,
    `geometric` and `preset` build one. What it shares with `GrowthSchedule` (`phases`, `total`,
    `advance`, `steps`) is the same code, so an `ImageStream` serves either.

    Args:
        resolutions: (height, width) of every stage, neither of which ever falls.
        images: Images of each stage.
        batch_sizes: Images in a step, per stage.
        learning_rates: Rate at the start of each stage; None for all: as compiled.
        cosine: Whether the rate falls to zero over each stage, as half a cosine.
        settings: {name: one number per stage}, the strength of regularisations. The `augment` of
            a `ResolutionCurriculum` applies them.

    Raises:
        ValueError: If the resolution falls, a tuple has another length, or a value is out of
            range.

    Example:
        >>> schedule = ResolutionSchedule.listed([96, 128, 160, 224], images=40_000)
        >>> state = schedule.at(12_000)
        >>> state.resolution, state.images_left, schedule.total
        ((128, 128), 8000, 40000)
        >>> round(schedule.cost, 3)  # of steps that all have the final resolution
        0.505
    """

    resolutions: tuple
    images: tuple
    batch_sizes: tuple
    learning_rates: tuple
    cosine: bool = False
    settings: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        sizes = tuple(as_size("resolution", size) for size in self.resolutions)
        if any(b[0] < a[0] or b[1] < a[1] for a, b in zip(sizes, sizes[1:], strict=False)):
            raise ValueError(
                "A resolution must not be smaller than the one before, in height or in width. "
                f"Received: {self.resolutions}"
            )
        count, self_rates = len(sizes), tuple(self.learning_rates)
        values = {"images": self.images, "batch_sizes": self.batch_sizes}
        values |= {"learning_rates": self_rates}
        values |= {f"settings[{name!r}]": given for name, given in self.settings.items()}
        for name, given in values.items():
            if not count or len(given) != count:
                raise ValueError(
                    f"{name} must have one value for each of the {count} resolutions, of which "
                    f"there is at least one. Received: {given}"
                )
        if any(rate is not None for rate in self_rates):
            self_rates = tuple(checks.number("learning_rate", r, above=0) for r in self_rates)
        elif self.cosine:
            raise ValueError("cosine needs a learning rate. Received: learning_rate=None")
        self._set("resolutions", sizes)
        self._set("learning_rates", self_rates)
        for name in ("images", "batch_sizes"):
            self._set(name, tuple(checks.whole(name, v, least=1) for v in getattr(self, name)))
        settings = {
            name: tuple(checks.number(f"settings[{name!r}]", value) for value in given)
            for name, given in self.settings.items()
        }
        self._set("settings", settings)
        ends = [sum(self.images[: stage + 1]) for stage in range(count)]
        stages = [
            ResolutionStage(
                stage=stage,
                resolution=sizes[stage],
                start=ends[stage] - self.images[stage],
                end=ends[stage],
                batch_size=self.batch_sizes[stage],
                learning_rate=self_rates[stage],
                settings={name: given[stage] for name, given in settings.items()},
            )
            for stage in range(count)
        ]
        self._set("_phases", tuple(stages))

    @classmethod
    def listed(
        cls,
        resolutions,
        images,
        *,
        shares=None,
        batch_size=32,
        equal_memory=False,
        divisible_by=1,
        learning_rate=None,
        bump=1.0,
        cosine=False,
        settings=None,
    ):
        """Build a schedule from the resolution of each stage.

        Args:
            resolutions: Height, or (height, width), of each stage, never falling.
            images: Images of all stages together: epochs times the size of the data set. A
                `ResolutionCurriculum` with `epochs` stretches the schedule to them.
            shares: Share of the images that each stage has; they need not add up to 1. By default
                all are equal.
            batch_size: Images in a step, at the last resolution.
            equal_memory: Whether smaller images come in larger batches, of at most as many
                pixels as the last stage's: `batch_size * H * W / (h * w)`, rounded down.
            divisible_by: Number that those batches are divisible by, such as that of devices.
            learning_rate: Rate of the first stage; None: as compiled.
            bump: Factor of the rate from each stage to the next; or a factor for each stage.
            cosine: Whether the rate falls to zero over each stage, as half a cosine, and begins
                anew in the next.
            settings: {name: (least, most)}: strengths of regularisation that grow linearly from
                the first stage to the last.

        Returns:
            `ResolutionSchedule`.

        Raises:
            ValueError: If the resolution falls or a value is out of range.

        Example:
            >>> print(ResolutionSchedule.listed([32, 48, 64], 9_000, equal_memory=True))
               size   from image  to image  steps  batch  learning rate
            1  32x32           0     3,000     24    128    as compiled
            2  48x48       3,000     6,000     53     56    as compiled
            3  64x64       6,000     9,000     93     32    as compiled
        """
        sizes = [as_size("resolution", size) for size in resolutions]
        count = len(sizes)
        shares = [1] * count if shares is None else list(shares)
        if not sizes or len(shares) != count:
            raise ValueError(
                f"shares must have one number for each of the {count} resolutions, of which there "
                f"is at least one. Received: {shares}"
            )
        shares = [checks.number("share", share, above=0) for share in shares]
        total = checks.whole("images", images, least=count)
        batch_size = checks.whole("batch_size", batch_size, least=1)
        divisor = checks.whole("divisible_by", divisible_by, least=1)
        return cls(
            resolutions=sizes,
            images=divided(total, shares),
            batch_sizes=[
                equal_memory_batch(batch_size, size, sizes[-1], divisor)
                if equal_memory
                else batch_size
                for size in sizes
            ],
            learning_rates=stage_rates(learning_rate, bump, count),
            cosine=bool(cosine),
            settings={
                name: tuple(low + (high - low) * part for part in equal_parts(count))
                for name, (low, high) in (settings or {}).items()
            },
        )

    @classmethod
    def linear(cls, first, last, stages, images, *, multiple=1, **options):
        """Build a schedule whose sizes grow by equal steps: S0 + (Se - S0) * i / (M - 1).

        Args:
            first: Height, or (height, width), of the first stage.
            last: That of the last stage.
            stages: Number of stages, M.
            images: Images of all stages together.
            multiple: Number that the sizes between first and last are rounded to multiples of.
            **options: Those of `listed`.

        Returns:
            `ResolutionSchedule`.

        Source: EfficientNetV2, arXiv 2104.00298, algorithm 1.

        Example:
            >>> schedule = ResolutionSchedule.linear(128, 300, 4, images=400)
            >>> [height for height, _ in schedule.resolutions]
            [128, 185, 243, 300]
        """
        return cls._between(
            first, last, stages, images, multiple, options, lambda a, b, part: a + (b - a) * part
        )

    @classmethod
    def geometric(cls, first, last, stages, images, *, multiple=1, **options):
        """Build a schedule whose sizes grow by equal factors: S0 * (Se / S0)^(i / (M - 1)).

        Args:
            first: Height, or (height, width), of the first stage.
            last: That of the last stage.
            stages: Number of stages, M.
            images: Images of all stages together.
            multiple: Number that the sizes between first and last are rounded to multiples of.
            **options: Those of `listed`.

        Returns:
            `ResolutionSchedule`.

        Example:
            >>> schedule = ResolutionSchedule.geometric(32, 256, 4, images=400)
            >>> [height for height, _ in schedule.resolutions]
            [32, 64, 128, 256]
        """
        return cls._between(
            first, last, stages, images, multiple, options, lambda a, b, part: a * (b / a) ** part
        )

    @classmethod
    def _between(cls, first, last, stages, images, multiple, options, value):
        first, last = as_size("first", first), as_size("last", last)
        count = checks.whole("stages", stages, least=1)
        multiple = checks.whole("multiple", multiple, least=1)
        sizes = [
            tuple(rounded(value(a, b, part), multiple) for a, b in zip(first, last, strict=True))
            for part in equal_parts(count)
        ]
        # The ends as given; rounding must not lead out of them.
        sizes = [tuple(map(max, first, map(min, size, last))) for size in sizes]
        return cls.listed([*([first] if count > 1 else []), *sizes[1:-1], last], images, **options)

    @classmethod
    def preset(cls, name, size, images, **options):
        """Build a known schedule by its name.

        `"composer"` is the progressive resizing of MosaicML's Composer: half the size for the
        first half of training, then linearly up to the full size, which the last fifth has; each
        size is a multiple of 4. `"efficientnetv2-s"`, `-m` and `-l` are the four equal stages of
        EfficientNetV2 with its `settings` (`randaugment`, `mixup`, `dropout`), which grow with
        the size. Their first size is 128 where the last is the paper's 300 or 380.

        Args:
            name: `"composer"`, `"efficientnetv2-s"`, `"efficientnetv2-m"` or `"efficientnetv2-l"`.
            size: Final height, or (height, width).
            images: Images of all stages together.
            **options: Those of `listed`.

        Returns:
            `ResolutionSchedule`.

        Raises:
            ValueError: If no schedule has this name; the message lists them.

        Source: the released code of Composer, which resizes without antialiasing; table 6 of
        EfficientNetV2, arXiv 2104.00298.

        Example:
            >>> schedule = ResolutionSchedule.preset("composer", 64, images=1_000)
            >>> [(stage.resolution[0], stage.end) for stage in schedule][:3]
            [(32, 519), (36, 557), (40, 594)]
        """
        checks.one_of("name", name, PRESETS)
        size = as_size("size", size)
        if name == "composer":
            images = checks.whole("images", images, least=1)
            sizes, lengths = composer_stages(size, images)
            return cls.listed(sizes, images, **{"shares": lengths, **options})
        ratio, settings = EFFICIENTNETV2[name.rpartition("-")[2]]
        first = tuple(rounded(length * ratio, 1) for length in size)
        return cls.linear(first, size, 4, images, **{"settings": settings, **options})

    @property
    def cost(self):
        """Pixels of all images, as a share of those at the final resolution; a float."""
        pixels = sum((s.end - s.start) * math.prod(s.resolution) for s in self._phases)
        return pixels / (self.total * math.prod(self.resolutions[-1]))

    def stretched(self, total):
        """The same schedule over another number of images, each stage with its share of them.

        Args:
            total: Images of all stages together.

        Returns:
            `ResolutionSchedule`.

        Example:
            >>> ResolutionSchedule.linear(32, 64, 2, images=10).stretched(100).images
            (50, 50)
        """
        total = checks.whole("total", total, least=len(self.images))
        return dataclasses.replace(self, images=divided(total, self.images))

    def at(self, images):
        """The state once `images` images have been shown.

        Args:
            images: Whole number of at least 0; from `total` on the answer is "done".

        Returns:
            `ResolutionState`.

        Example:
            >>> schedule = ResolutionSchedule.listed([32], 100, learning_rate=0.1, cosine=True)
            >>> [round(schedule.at(n).learning_rate, 3) for n in (0, 50, 75)]
            [0.1, 0.05, 0.015]
        """
        images = checks.whole("images", images, least=0)
        stage = self.phase_at(images)
        is_done = stage is None
        stage = self._phases[-1] if is_done else stage
        rate = stage.learning_rate
        if self.cosine:
            progress = min((images - stage.start) / (stage.end - stage.start), 1.0)
            rate *= 0.5 * (1 + math.cos(math.pi * progress))
        return ResolutionState(
            images=images,
            phase="done" if is_done else "train",
            stage=stage.stage,
            resolution=stage.resolution,
            batch_size=stage.batch_size,
            learning_rate=rate,
            settings=stage.settings,
            images_left=max(stage.end - images, 0),
        )

    def __str__(self):
        rows = [("", "size", "from image", "to image", "steps", "batch", "learning rate")]
        for stage in self:
            steps = self.steps(0, stage.end) - self.steps(0, stage.start)
            rate = "as compiled" if stage.learning_rate is None else f"{stage.learning_rate:g}"
            size = "x".join(map(str, stage.resolution))
            numbers = (f"{n:,}" for n in (stage.start, stage.end, steps, stage.batch_size))
            rows.append((f"{stage.stage + 1}", size, *numbers, rate))
        return "\n".join(table(rows, left=(1,)))
