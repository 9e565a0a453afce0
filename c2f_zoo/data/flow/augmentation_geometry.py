"""Geometric augmentation of flow pairs: drawn on the host, applied exactly on the device.

Both frames are resampled by affine maps T1 and T2 from output pixels to source pixels. The true
flow of output pixel x then follows the scene point it shows: from T1(x) in source frame 1 to
T1(x) + flow(T1(x)) in source frame 2, and back through T2:

    new_flow(x) = T2^-1(T1(x) + flow(T1(x))) - x.
"""

import math
from dataclasses import dataclass

import numpy as np
from keras import ops

from c2f_zoo.layers import warp

EDGE_TOLERANCE = 0.01  # pixels: float32 coordinates at the frame's edge round by less


@dataclass(frozen=True)
class AffineGeometry:
    """FlowNet2's and PWC-Net's scheme: one random affine map for the pair, a small one between.

    Maps that leave the source frame are drawn again; after `attempts` of them the crop's centre
    is used, enlarged if the source is smaller than the crop (frame 1), or no relative motion
    (frame 2). Ranges are of the uniform distribution, the relative ones standard deviations of
    normal distributions.

    Args:
        translate: Shift of the crop, as a fraction of its size.
        rotate: Angle in radians.
        zoom: Mean and range of the natural logarithm of the magnification.
        squeeze: Logarithm of the factor by which x is magnified and y shrunk.
        relative_translate, relative_rotate, relative_zoom: Of frame 2 against frame 1.
        probability: Of each of rotation, zoom, squeeze and the relative motions happening.
        horizontal_flip, vertical_flip: Probabilities.
        keep_inside: Draw again until the crop lies inside the source. If False, pixels from
            outside repeat the border and are marked invalid.
        attempts: Draws before falling back, 50 as in FlowNet2's code.

    Source: Ilg et al., FlowNet 2.0, CVPR 2017 (supplement); PWC-Net's released train.prototxt.
    """

    translate: float = 0.4
    rotate: float = 0.4
    zoom: tuple = (0.2, 0.4)
    squeeze: float = 0.3
    relative_translate: float = 0.03
    relative_rotate: float = 0.03
    relative_zoom: float = 0.03
    probability: float = 1.0
    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    keep_inside: bool = True
    attempts: int = 50

    def draw(self, rng, source_size, size, strength=1.0):
        """Draw the maps of one pair for a source (H, W) and an output (h, w).

        `strength` is a factor on the relative ranges (the ramp of PWC-Net's training). Returns T1
        and T2, each (2, 3) float64: source (x, y) = T[:, :2] @ (x, y) + T[:, 2].
        """
        flips = np.where(rng.random(2) < (self.horizontal_flip, self.vertical_flip), -1.0, 1.0)
        noise = rng.uniform(-1, 1, (self.attempts, 5))
        happens = rng.random((self.attempts, 3)) < self.probability
        relative_noise = rng.standard_normal((self.attempts, 4))
        relative_happens = rng.random((self.attempts, 3)) < self.probability

        angle = self.rotate * noise[:, 0] * happens[:, 0]
        shift = self.translate * noise[:, 1:3]
        zoom = (self.zoom[0] + self.zoom[1] * noise[:, 3]) * happens[:, 1]
        squeeze = self.squeeze * noise[:, 4] * happens[:, 2]
        candidates = np.stack([angle, *shift.T, zoom + squeeze, zoom - squeeze], axis=1)
        first = self._choose(candidates, _centred(source_size, size), flips, source_size, size)

        relative_angle = self.relative_rotate * relative_noise[:, 0] * relative_happens[:, 0]
        relative_shift = self.relative_translate * relative_noise[:, 1:3] * relative_happens[:, 1:2]
        relative_zoom = self.relative_zoom * relative_noise[:, 3] * relative_happens[:, 2]
        change = np.stack([relative_angle, *relative_shift.T, relative_zoom, relative_zoom], axis=1)
        second = self._choose(first + strength * change, first, flips, source_size, size)
        maps = affine_maps(np.stack([first, second]), flips, source_size, size)
        return maps[0], maps[1]

    def _choose(self, candidates, fallback, flips, source_size, size):
        if not self.keep_inside:
            return candidates[0]
        inside = stays_inside(affine_maps(candidates, flips, source_size, size), source_size, size)
        return candidates[np.argmax(inside)] if inside.any() else fallback


@dataclass(frozen=True)
class ScaleGeometry:
    """RAFT's scheme: the same scaling, stretch, flips and crop for both frames.

    Args:
        scale: Range of the binary logarithm of the magnification.
        scale_probability: Of scaling at all.
        stretch: Range of the binary logarithm of the extra magnification of each axis.
        stretch_probability: Of stretching, where scaled.
        horizontal_flip, vertical_flip: Probabilities.

    Source: Teed and Deng, RAFT, ECCV 2020, released code.
    """

    scale: tuple = (-0.1, 1.0)
    scale_probability: float = 0.8
    stretch: float = 0.2
    stretch_probability: float = 0.8
    horizontal_flip: float = 0.5
    vertical_flip: float = 0.1

    def draw(self, rng, source_size, size, strength=1.0):
        """Draw the maps of one pair as `AffineGeometry.draw`."""
        del strength  # RAFT has no ramp
        flips = np.where(rng.random(2) < (self.horizontal_flip, self.vertical_flip), -1.0, 1.0)
        scales = rng.random() < self.scale_probability
        stretches = scales and rng.random() < self.stretch_probability
        zoom = np.full(2, rng.uniform(*self.scale) if scales else 0.0)
        zoom += rng.uniform(-self.stretch, self.stretch, 2) if stretches else 0.0
        zoom *= math.log(2)
        source, output = (np.array(pair[::-1], "float64") - 1 for pair in (source_size, size))
        zoom = np.maximum(zoom, np.log(output / source))  # the crop must fit
        room = source * np.exp(zoom) - output
        shift = room * rng.uniform(-0.5, 0.5, 2) / (output + 1)
        coefficients = np.array([0.0, *shift, *zoom])
        mapping = affine_maps(coefficients[None], flips, source_size, size)[0]
        return mapping, mapping


def affine_maps(coefficients, flips, source_size, size):
    """Turn augmentation coefficients into maps (N, 2, 3), float64, from output to source pixels.

    About the centres: flip, rotate, shift, divide by the magnification. `coefficients` (N, 5) are
    angle, shift x and y (in units of the output size), logarithm of the magnification of x and y;
    `flips` (2,) are 1 or -1 for x and y.
    """
    angle, shift_x, shift_y, zoom_x, zoom_y = np.asarray(coefficients, "float64").T
    rotation = np.stack(
        [
            np.stack([np.cos(angle), -np.sin(angle)], axis=-1),
            np.stack([np.sin(angle), np.cos(angle)], axis=-1),
        ],
        axis=1,
    )
    shrink = np.exp(-np.stack([zoom_x, zoom_y], axis=-1))
    linear = shrink[:, :, None] * rotation * np.asarray(flips)[None, None, :]
    extent = np.array(size[::-1], "float64")
    centre, source_centre = (extent - 1) / 2, (np.array(source_size[::-1]) - 1) / 2
    shift = shrink * np.stack([shift_x, shift_y], axis=-1) * extent
    offset = source_centre + shift - linear @ centre
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def stays_inside(maps, source_size, size):
    """Tell which maps (N, 2, 3) take every output pixel into the source frame; (N,) bool."""
    height, width = size
    corners = np.array([(x, y) for x in (0, width - 1) for y in (0, height - 1)], "float64")
    points = np.einsum("nij,kj->nki", maps[:, :, :2], corners) + maps[:, None, :, 2]
    limit = np.array(source_size[::-1]) - 1
    return np.all((points >= -1e-9) & (points <= limit + 1e-9), axis=(1, 2))


def _centred(source_size, size):
    """Coefficients of the crop at the centre, magnified only as far as it must be to fit."""
    ratio = max((out - 1) / (source - 1) for out, source in zip(size, source_size, strict=True))
    zoom = math.log(max(1.0, ratio))
    return np.array([0.0, 0.0, 0.0, zoom, zoom])


def device_parameters(maps1, maps2):
    """Precompute, in float64, what the device needs of the maps T1 and T2 (B, 2, 3), as float32.

    `flow_matrix` (B, 2, 2) is the inverse of T2's linear part; `flow_drift` (B, 2, 3) the flow that
    the change of viewpoint T2^-1 T1 alone makes, whose difference from the identity is taken here,
    where it cancels nothing.
    """
    inverse = np.linalg.inv(maps2[:, :, :2])
    linear = inverse @ maps1[:, :, :2] - np.eye(2)
    offset = inverse @ (maps1[:, :, 2:] - maps2[:, :, 2:])
    parameters = {
        "to_frame1": maps1,
        "to_frame2": maps2,
        "flow_matrix": inverse,
        "flow_drift": np.concatenate([linear, offset], axis=2),
    }
    return {name: value.astype("float32") for name, value in parameters.items()}


def map_pixels(maps, size):
    """Apply affine maps (B, 2, 3) to a pixel grid (h, w): x and y, each (B, h, w)."""
    columns = ops.arange(size[1], dtype="float32")[None, None, :]
    rows = ops.arange(size[0], dtype="float32")[None, :, None]
    maps = maps[:, :, :, None, None]
    return tuple(maps[:, i, 0] * columns + maps[:, i, 1] * rows + maps[:, i, 2] for i in (0, 1))


def resample(image, maps, extent, size):
    """Resample images (B, H, W, C) by affine maps (B, 2, 3), bilinear, repeating the border.

    `extent` (B, 2) is the height and width of each sample's source; the result is (B, h, w, C).
    """
    x, y = map_pixels(maps, size)
    height, width = extent[:, 0, None, None], extent[:, 1, None, None]
    # Just short of the last pixel, so that no tap rounds to the outside.
    x = ops.clip(x, 0.0, ops.maximum(width - 1.001, 0.0))
    y = ops.clip(y, 0.0, ops.maximum(height - 1.001, 0.0))
    grid_x = ops.arange(size[1], dtype="float32")[None, None, :]
    grid_y = ops.arange(size[0], dtype="float32")[None, :, None]
    return warp(image, ops.stack([x - grid_x, y - grid_y], axis=-1))


def transform_flow(flow, valid, parameters, extent, size, motion_boundary=1.0):
    """Compute the flow between the resampled frames, and where it is known.

    Args:
        flow: Tensor (B, H, W, 2), pixels; finite everywhere.
        valid: Tensor (B, H, W, 1), weight; 0 = unknown.
        parameters: As `device_parameters` returns them, as tensors.
        extent: Tensor (B, 2): height and width of each sample's source, float32.
        size: (h, w) of the output.
        motion_boundary: The flow at a fractional position is a bilinear blend of the pixels
            around it that are valid and differ from the nearest one by at most this many
            pixels: never of two objects. 0 takes the nearest alone (sparse ground truth).

    Returns:
        Flow (B, h, w, 2), 0 where unknown, and weight (B, h, w, 1): that of the nearest source
        pixel, 0 outside the source.
    """
    x, y = map_pixels(parameters["to_frame1"], size)
    height, width = extent[:, 0, None, None], extent[:, 1, None, None]
    inside = ops.logical_and(
        ops.logical_and(x >= -EDGE_TOLERANCE, x <= width - 1 + EDGE_TOLERANCE),
        ops.logical_and(y >= -EDGE_TOLERANCE, y <= height - 1 + EDGE_TOLERANCE),
    )
    x, y = ops.clip(x, 0.0, width - 1), ops.clip(y, 0.0, height - 1)
    source = ops.concatenate([flow, valid], axis=-1)
    if motion_boundary > 0:
        (u, v), weight = _blend(source, x, y, width, height, motion_boundary)
    else:
        nearest = _pixels_at(source, ops.floor(x + 0.5), ops.floor(y + 0.5))
        (u, v), weight = (nearest[..., 0], nearest[..., 1]), nearest[..., 2]
    weight = (weight * ops.cast(inside, "float32"))[..., None]
    matrix = parameters["flow_matrix"][:, :, :, None, None]
    drift = map_pixels(parameters["flow_drift"], size)
    moved = [matrix[:, i, 0] * u + matrix[:, i, 1] * v + drift[i] for i in (0, 1)]
    moved = ops.stack(moved, axis=-1)
    return ops.where(weight > 0, moved, ops.zeros_like(moved)), weight


def _blend(source, x, y, width, height, motion_boundary):
    """Flow at (x, y), bilinear over the pixels that move with the nearest, and its weight."""
    left, top = ops.floor(x), ops.floor(y)
    right, bottom = ops.minimum(left + 1.0, width - 1), ops.minimum(top + 1.0, height - 1)
    right_weight, bottom_weight = x - left, y - top
    taps, weights = [], []
    for row, y_weight in ((top, 1.0 - bottom_weight), (bottom, bottom_weight)):
        taps += [_pixels_at(source, column, row) for column in (left, right)]
        weights += [(1.0 - right_weight) * y_weight, right_weight * y_weight]
    is_right, is_bottom = right_weight[..., None] >= 0.5, bottom_weight[..., None] >= 0.5
    nearest = ops.where(
        is_bottom, ops.where(is_right, taps[3], taps[2]), ops.where(is_right, taps[1], taps[0])
    )
    u, v = nearest[..., 0], nearest[..., 1]
    total_u, total_v, total_weight = 0.0, 0.0, 1e-12
    for tap, weight in zip(taps, weights, strict=True):
        # Differences from the nearest keep the blend of large equal flows exact.
        du, dv = tap[..., 0] - u, tap[..., 1] - v
        is_same_motion = ops.maximum(ops.abs(du), ops.abs(dv)) <= motion_boundary
        belongs = ops.logical_and(is_same_motion, tap[..., 2] > 0)
        weight = weight * ops.cast(belongs, "float32")
        total_u, total_v = total_u + weight * du, total_v + weight * dv
        total_weight = total_weight + weight
    return (u + total_u / total_weight, v + total_v / total_weight), nearest[..., 2]


def _pixels_at(source, column, row):
    """Gather whole pixels of (B, H, W, C) at integer float positions inside; (B, h, w, C)."""
    batch, height, width, channels = ops.shape(source)
    start = (ops.arange(batch, dtype="int32") * (height * width))[:, None, None]
    index = start + ops.cast(row, "int32") * width + ops.cast(column, "int32")
    return ops.take(ops.reshape(source, (-1, channels)), index, axis=0)
