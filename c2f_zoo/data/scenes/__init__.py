"""Endless training pairs with exact flow, disparity or depth, rendered on the device."""

from c2f_zoo.data.scenes.depth import DepthScenes
from c2f_zoo.data.scenes.effects import Effects
from c2f_zoo.data.scenes.motion import Motion, MotionMixture
from c2f_zoo.data.scenes.scenes import Scenes, SceneStream
from c2f_zoo.data.scenes.stereo import StereoScenes
from c2f_zoo.data.scenes.surfaces import Surfaces

__all__ = [
    "DepthScenes",
    "Effects",
    "Motion",
    "MotionMixture",
    "SceneStream",
    "Scenes",
    "StereoScenes",
    "Surfaces",
]
