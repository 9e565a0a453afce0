"""The schedule of a growing network: resolution, alpha, batch size and rates over training."""

import dataclasses

from c2f_zoo.checks import one_of, whole
from c2f_zoo.training.growth.parts import (
    GrowthState,
    all_sizes,
    at_heights,
    checked_sizes,
    lasting,
    list_phases,
    per_stage,
    rates,
)
from c2f_zoo.training.growth.presets import PRESETS
from c2f_zoo.training.phases import PhasedSchedule


@dataclasses.dataclass(frozen=True)
class GrowthSchedule(PhasedSchedule):
    """Resolution, alpha, batch size and learning rates as functions of the images shown.

    `at(images)` is the state, iterating gives the phases, `print` a table and `plot` a picture. The
    first stage is trained for `stabilise[first_stage]` images; then each next one fades in over
    `fade[stage]` images, alpha = images shown in the fade / its length, and is trained at alpha 1
    for `stabilise[stage]` more. A phase of 0 images is skipped. `by_images`, `by_epochs` and
    `preset` build one.

    Args:
        resolutions: (height, width) of every stage, base first, each the double of the one before.
        stabilise: Images for which each stage is trained at alpha 1.
        fade: Images over which each stage fades in; unused for the first stage.
        batch_sizes: Images in a step, per stage.
        g_learning_rates: Learning rate of the generator, per stage; None for all: as compiled.
        d_learning_rates: Learning rate of the discriminator, likewise.
        first_stage: Stage to begin with, as StyleGAN does at 8x8, or to grow a checkpoint further.

    Raises:
        ValueError: If the resolutions do not double, a tuple has another length, or a value is
            out of range.

    Source: Karras et al., Progressive Growing of GANs, arXiv 1710.10196, section 2 and appendix
    A, and the released code's training schedule.

    Example:
        >>> schedule = GrowthSchedule.by_images(16, stabilise=600, fade=400, batch_sizes={8: 8})
        >>> state = schedule.at(700)
        >>> state.phase, state.resolution, state.alpha, state.batch_size, state.images_left
        ('fade', (8, 8), 0.25, 8, 300)
        >>> schedule.total, schedule.resets
        (2600, (600, 1000, 1600, 2000))
    """

    resolutions: tuple
    stabilise: tuple
    fade: tuple
    batch_sizes: tuple
    g_learning_rates: tuple
    d_learning_rates: tuple
    first_stage: int = 0

    def __post_init__(self):
        sizes = checked_sizes(self.resolutions)
        self._set("resolutions", sizes)
        for name, least in (("stabilise", 0), ("fade", 0), ("batch_sizes", 1)):
            self._set(name, tuple(whole(name, v, least=least) for v in getattr(self, name)))
        for name in ("g_learning_rates", "d_learning_rates"):
            self._set(name, rates(name, getattr(self, name)))
        for field in dataclasses.fields(self)[1:-1]:
            if len(getattr(self, field.name)) != len(sizes):
                raise ValueError(
                    f"{field.name} must have one value for each of the {len(sizes)} resolutions. "
                    f"Received: {getattr(self, field.name)}"
                )
        self._set("first_stage", whole("first_stage", self.first_stage, least=0))
        if self.first_stage >= len(sizes):
            raise ValueError(
                f"first_stage must be one of the {len(sizes)} stages, 0 to {len(sizes) - 1}. "
                f"Received: {self.first_stage}"
            )
        self._set("_phases", list_phases(self))
        if not self._phases:
            raise ValueError(
                "A schedule must show at least one image. "
                f"Received: stabilise={self.stabilise}, fade={self.fade}"
            )

    @classmethod
    def by_images(
        cls,
        resolution=None,
        base_shape=(4, 4),
        *,
        resolutions=None,
        stabilise=600_000,
        fade=600_000,
        batch_sizes=16,
        learning_rates=None,
        d_learning_rates=None,
        total=None,
        first_stage=0,
    ):
        """Build a schedule whose phases are counted in images, as ProGAN's are.

        `stabilise`, `fade`, `batch_sizes` and the learning rates are one value, or a mapping
        {height: value}: each value holds from its height on, and the default (a learning rate of
        1e-3) below the first. So `{128: 1.5e-3, 256: 2e-3}` is 1e-3 up to 64x64.

        Args:
            resolution: Final height, `base_shape[0]` times a power of two.
            base_shape: (height, width) of the base.
            resolutions: All (height, width), base first, in place of these two.
            stabilise: Images at alpha 1, per resolution.
            fade: Images over which a resolution fades in.
            batch_sizes: Images in a step.
            learning_rates: Learning rate of both networks. None: as compiled.
            d_learning_rates: That of the discriminator, where it differs.
            total: Images in all, in place of the length of the last phase.
            first_stage: Stage to begin with.

        Returns:
            `GrowthSchedule`.

        Raises:
            ValueError: If the resolution is no power of two times the base, a height listed is no
                resolution, or `total` ends before the last resolution is fully in.

        Example:
            >>> schedule = GrowthSchedule.by_images(64, base_shape=(4, 6), total=9_000_000)
            >>> schedule.resolutions[-1], schedule.at(8_000_000).stage
            ((64, 96), 4)
        """
        sizes = all_sizes(resolution, base_shape, resolutions)
        if d_learning_rates is None:
            d_learning_rates = learning_rates
        schedule = cls(
            resolutions=sizes,
            stabilise=per_stage("stabilise", stabilise, sizes, 600_000),
            fade=per_stage("fade", fade, sizes, 600_000),
            batch_sizes=per_stage("batch_sizes", batch_sizes, sizes, 16),
            g_learning_rates=per_stage("learning_rates", learning_rates, sizes, 1e-3),
            d_learning_rates=per_stage("d_learning_rates", d_learning_rates, sizes, 1e-3),
            first_stage=first_stage,
        )
        return schedule if total is None else lasting(schedule, whole("total", total, least=1))

    @classmethod
    def by_epochs(
        cls, epochs_per_resolution, dataset_size, resolution=None, base_shape=(4, 4), **options
    ):
        """Build a schedule in passes over a data set; the first half of each resolution's fades.

        The first stage has nothing to fade from and is trained at alpha 1 throughout.

        Args:
            epochs_per_resolution: Epochs, one number or a mapping {height: epochs} as for
                `by_images` (1 below the first height listed).
            dataset_size: Images in the data set.
            resolution: Final height.
            base_shape: (height, width) of the base. Default (4, 4).
            **options: `resolutions`, `batch_sizes`, `learning_rates`, `d_learning_rates`, `total`
                and `first_stage` of `by_images`.

        Returns:
            `GrowthSchedule`.

        Example:
            >>> schedule = GrowthSchedule.by_epochs(10, dataset_size=200, resolution=8)
            >>> [(phase.kind, phase.start, phase.end) for phase in schedule]
            [('stabilise', 0, 2000), ('fade', 2000, 3000), ('stabilise', 3000, 4000)]
        """
        twice = sorted({"stabilise", "fade"} & set(options))
        if twice:
            raise ValueError(f"by_epochs sets the lengths of the phases itself. Received: {twice}")
        size = whole("dataset_size", dataset_size, least=1)
        resolutions = options.pop("resolutions", None)
        sizes = all_sizes(resolution, base_shape, resolutions)
        epochs = per_stage("epochs_per_resolution", epochs_per_resolution, sizes, 1)
        images = [whole("epochs_per_resolution", number, least=1) * size for number in epochs]
        first = whole("first_stage", options.get("first_stage", 0), least=0)
        fades = [0 if stage <= first else shown // 2 for stage, shown in enumerate(images)]
        heights = [height for height, _ in sizes]
        rest = [shown - fade for shown, fade in zip(images, fades, strict=True)]
        return cls.by_images(
            resolutions=sizes,
            stabilise=dict(zip(heights, rest, strict=True)),
            fade=dict(zip(heights, fades, strict=True)),
            **options,
        )

    @classmethod
    def preset(cls, name, resolution=1024, **changes):
        """Build a schedule of the papers or their released codes.

        Args:
            name: `"progan-paper"` (the same as `"progan-v1-1gpu"`), `"progan-v2-1gpu"`,
                `"progan-v2-2gpu"`, `"progan-v2-4gpu"`, `"progan-v2-8gpu"`, `"stylegan-8gpu"`.
                The first two have batches of 14, 6 and 3 from 256x256 on and need, as released, a
                discriminator of `group_size=16`; the others serve the default of 4.
            resolution: Final height. Default 1024. As in the released codes, the total number of
                images does not depend on it.
            **changes: Arguments of `by_images` that take the place of the preset's.

        Returns:
            `GrowthSchedule`.

        Raises:
            ValueError: If no preset has this name; the message lists them.

        Example:
            >>> schedule = GrowthSchedule.preset("progan-v2-8gpu", resolution=256)
            >>> schedule.batch_sizes, schedule.g_learning_rates[-2:], schedule.total
            ((512, 256, 128, 64, 32, 32, 32), (0.0015, 0.002), 12000000)
        """
        one_of("name", name, sorted(PRESETS))
        arguments = {**PRESETS[name], **changes}
        sizes = all_sizes(resolution, changes.get("base_shape", (4, 4)), None)
        for key in PRESETS[name].keys() - changes.keys():
            arguments[key] = at_heights(arguments[key], sizes)
        return cls.by_images(resolution, **arguments)

    @property
    def resets(self):
        """Numbers of images at which the optimizers are reset: each start and end of a fade.

        This is where floor or ceil of the released code's level of detail changes.
        """
        return tuple(phase.start for phase in self._phases[1:])

    def resets_between(self, before, after):
        """Whether the optimizers are to be reset between two steps.

        Args:
            before: Images shown before the last step.
            after: Images shown before the coming step.

        Returns:
            True if a fade began or ended after `before`, up to and including `after`.

        Example:
            >>> schedule = GrowthSchedule.by_images(8, stabilise=100, fade=50)
            >>> schedule.resets_between(84, 100), schedule.resets_between(100, 116)
            (True, False)
        """
        return any(before < reset <= after for reset in self.resets)

    def at(self, images):
        """The state once `images` real images have been shown.

        Args:
            images: Whole number of at least 0; from `total` on the answer is "done".

        Returns:
            `GrowthState`.

        Example:
            >>> schedule = GrowthSchedule.by_images(8, stabilise=100, fade=50)
            >>> [(n, schedule.at(n).phase, schedule.at(n).alpha) for n in (0, 100, 125, 250)]
            [(0, 'stabilise', 1.0), (100, 'fade', 0.0), (125, 'fade', 0.5), (250, 'done', 1.0)]
        """
        images = whole("images", images, least=0)
        phase = self.phase_at(images)
        is_done = phase is None
        phase = self._phases[-1] if is_done else phase
        is_fading = phase.kind == "fade" and not is_done
        shared = ("stage", "resolution", "batch_size", "g_learning_rate", "d_learning_rate")
        return GrowthState(
            images=images,
            phase="done" if is_done else phase.kind,
            alpha=(images - phase.start) / (phase.end - phase.start) if is_fading else 1.0,
            images_left=max(phase.end - images, 0),
            **{name: getattr(phase, name) for name in shared},
        )

    def __str__(self):
        from c2f_zoo.training.growth.picture import growth_table

        return growth_table(self)

    def plot(self, path=None):
        """Draw resolution, alpha, batch size and learning rates over images (needs matplotlib).

        Args:
            path: File to write the picture to (`.png`, `.svg`, ...); none by default.

        Returns:
            `matplotlib.figure.Figure`, which a notebook shows.

        Raises:
            ImportError: matplotlib is not installed; the message names the extra.

        Example:
            ```python
            GrowthSchedule.preset("progan-v2-8gpu").plot("schedule.png")
            ```
        """
        from c2f_zoo.training.growth.picture import growth_plot

        return growth_plot(self, path)
