"""Endless optical-flow training pairs with exact ground truth, rendered on the device."""

from c2f_zoo.data.scenes.effects import Effects
from c2f_zoo.data.scenes.motion import Motion, MotionMixture
from c2f_zoo.data.scenes.scenes import Scenes, SceneStream

__all__ = ["Effects", "Motion", "MotionMixture", "SceneStream", "Scenes"]
