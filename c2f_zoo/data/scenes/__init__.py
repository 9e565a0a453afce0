"""Endless training pairs with exact flow or disparity, rendered on the device."""

from c2f_zoo.data.scenes.effects import Effects
from c2f_zoo.data.scenes.motion import Motion, MotionMixture
from c2f_zoo.data.scenes.scenes import Scenes, SceneStream
from c2f_zoo.data.scenes.stereo import StereoScenes
from c2f_zoo.data.scenes.surfaces import Surfaces

__all__ = [
    "Effects",
    "Motion",
    "MotionMixture",
    "SceneStream",
    "Scenes",
    "StereoScenes",
    "Surfaces",
]
