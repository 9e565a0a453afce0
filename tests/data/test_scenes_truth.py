"""The ground truth of rendered scenes is true, by several independent proofs."""

import dataclasses

import keras
import numpy as np
import pytest
from scipy.ndimage import binary_erosion, map_coordinates, maximum_filter, minimum_filter

from c2f_zoo.data.scenes import Effects, Motion, Scenes
from tests_data_scene_reference import render_scene
