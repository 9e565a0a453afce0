"""Losses with the papers' formulas, as `keras.losses.Loss`."""

from c2f_zoo.losses.flow import (
    KITTI_LEVEL_WEIGHTS,
    PAPER_LEVEL_WEIGHTS,
    MultiscaleEndPointError,
    MultiscaleRobust,
)

__all__ = [
    "KITTI_LEVEL_WEIGHTS",
    "PAPER_LEVEL_WEIGHTS",
    "MultiscaleEndPointError",
    "MultiscaleRobust",
]
