"""What holds at a moment of a training at growing resolution, and in a part of it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ResolutionStage:
    """A part of training at one resolution.

    Attributes:
        stage: Its index, 0 = first.
        resolution: (height, width) of the images.
        start: Images shown when it begins.
        end: Images shown when the next one begins.
        batch_size: Images in a step.
        learning_rate: Rate at its start; None: as compiled.
        settings: Strength of each regularisation, {name: number}.

    Example:
        >>> from c2f_zoo.training import ResolutionSchedule
        >>> [stage.resolution for stage in ResolutionSchedule.linear(32, 64, 3, images=300)]
        [(32, 32), (48, 48), (64, 64)]
    """

    stage: int
    resolution: tuple[int, int]
    start: int
    end: int
    batch_size: int
    learning_rate: float | None
    settings: dict


@dataclasses.dataclass(frozen=True)
class ResolutionState:
    """State of a training at growing resolution after a number of images.

    Attributes:
        images: Images shown so far.
        phase: `"train"` or, from the end of the schedule on, `"done"`.
        stage: Index of the stage, 0 = first.
        resolution: (height, width) of the images.
        batch_size: Images in a step.
        learning_rate: Rate of the coming step; None: as compiled.
        settings: Strength of each regularisation, {name: number}.
        images_left: Images until the stage ends; 0 if done.

    Example:
        >>> from c2f_zoo.training import ResolutionSchedule
        >>> ResolutionSchedule.linear(32, 64, 3, images=300).at(120).images_left
        80
    """

    images: int
    phase: str
    stage: int
    resolution: tuple[int, int]
    batch_size: int
    learning_rate: float | None
    settings: dict
    images_left: int

    @property
    def alpha(self):
        """Weight of the newest resolution as of a `GrowthState`: 1, since nothing fades in."""
        return 1.0
