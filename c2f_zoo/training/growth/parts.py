"""Parts of a growth schedule: its phases, its states, and the checks of its arguments."""

import dataclasses
from collections.abc import Mapping

from c2f_zoo import checks
from c2f_zoo.data.resolutions import doublings, stage_resolutions


@dataclasses.dataclass(frozen=True)
class GrowthState:
    """State of a growing training after a number of images.

    Attributes:
        images: Real images shown so far.
        phase: `"stabilise"`, `"fade"` or, from the end of the schedule on, `"done"`.
        stage: Index of the resolution, 0 = base.
        resolution: (height, width) of the images.
        alpha: Weight of the newest resolution, 0 to 1; 1 outside of a fade.
        batch_size: Images in a step.
        g_learning_rate, d_learning_rate: Those of generator and discriminator; None: as compiled.
        images_left: Images until the phase ends; 0 if done.

    Example:
        >>> from c2f_zoo.training import GrowthSchedule
        >>> GrowthSchedule.by_images(8, stabilise=100, fade=50).at(110).alpha
        0.2
    """

    images: int
    phase: str
    stage: int
    resolution: tuple[int, int]
    alpha: float
    batch_size: int
    g_learning_rate: float | None
    d_learning_rate: float | None
    images_left: int


@dataclasses.dataclass(frozen=True)
class GrowthPhase:
    """A part of training at one resolution, fading in or fully in.

    Attributes:
        kind: `"stabilise"` or `"fade"`.
        stage: Index of the resolution, 0 = base.
        resolution: (height, width) of the images; in a fade already the new one.
        start: Images shown when it begins.
        end: Images shown when the next one begins.
        batch_size: Images in a step.
        g_learning_rate, d_learning_rate: Those of generator and discriminator; None: as compiled.

    Example:
        >>> from c2f_zoo.training import GrowthSchedule
        >>> phases = GrowthSchedule.by_images(8, stabilise=100, fade=50).phases
        >>> [(phase.kind, phase.resolution[0], phase.start, phase.end) for phase in phases]
        [('stabilise', 4, 0, 100), ('fade', 8, 100, 150), ('stabilise', 8, 150, 250)]
    """

    kind: str
    stage: int
    resolution: tuple[int, int]
    start: int
    end: int
    batch_size: int
    g_learning_rate: float | None
    d_learning_rate: float | None


def rates(name, values):
    """The learning rates of all stages, or None for each."""
    if all(value is None for value in values):
        return tuple(values)
    return tuple(checks.number(name, value, above=0) for value in values)


def lasting(schedule, total):
    """The same schedule with its last stage trained until `total`."""
    grown = schedule.total - schedule.stabilise[-1]
    if total < grown:
        raise ValueError(
            f"total must be at least {grown} images, the end of the last fade. Received: {total}"
        )
    stabilise = (*schedule.stabilise[:-1], total - grown)
    return dataclasses.replace(schedule, stabilise=stabilise)


def checked_sizes(resolutions):
    """The (height, width) of all stages, each the double of the one before."""
    sizes = tuple(checks.whole_pair("resolution", size, least=1) for size in resolutions)
    doubles = all((a[0] * 2, a[1] * 2) == b for a, b in zip(sizes, sizes[1:], strict=False))
    if not sizes or not doubles:
        raise ValueError(
            "resolutions must be (height, width) pairs, base first, each the double of the one "
            f"before. Received: {resolutions}"
        )
    return sizes


def all_sizes(resolution, base_shape, resolutions):
    """The sizes of all stages, given by the last one or all of them."""
    if (resolution is None) == (resolutions is None):
        raise ValueError(
            "Give either the final resolution or all resolutions. "
            f"Received: resolution={resolution}, resolutions={resolutions}"
        )
    if resolutions is not None:
        return checked_sizes(resolutions)
    return stage_resolutions(resolution, base_shape)


def per_stage(name, values, sizes, default):
    """One value per stage from one for all or from {height: value from there on}."""
    if not isinstance(values, Mapping):
        return (values,) * len(sizes)
    base = sizes[0][0]
    for height in values:
        # Heights beyond the last are allowed: a preset's table serves smaller networks too.
        if doublings(height, base) is None:
            raise ValueError(
                f"{name} lists heights: {base} times a power of two. Received: {height}"
            )
    listed = [max((key for key in values if key <= height), default=None) for height, _ in sizes]
    return tuple(default if key is None else values[key] for key in listed)


def at_heights(values, sizes):
    """A preset's {height: value} with the heights of these sizes, which may be no powers of 2."""
    if not isinstance(values, Mapping):
        return values
    heights = [height for height, _ in sizes if height >= min(values)]
    return {height: values[max(key for key in values if key <= height)] for height in heights}


def list_phases(schedule):
    """Phases in order, skipping those with zero images."""
    phases, start = [], 0
    for stage in range(schedule.first_stage, len(schedule.resolutions)):
        lengths = {"fade": schedule.fade[stage], "stabilise": schedule.stabilise[stage]}
        if stage == schedule.first_stage:
            del lengths["fade"]
        settings = (
            schedule.batch_sizes[stage],
            schedule.g_learning_rates[stage],
            schedule.d_learning_rates[stage],
        )
        for kind, length in lengths.items():
            if length:
                size, end = schedule.resolutions[stage], start + length
                phases.append(GrowthPhase(kind, stage, size, start, end, *settings))
                start = end
    return tuple(phases)
