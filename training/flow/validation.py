"""Held-out figures of a flow network while it trains, and the best weights by them."""

from pathlib import Path

import numpy as np

from c2f_zoo import backend
from c2f_zoo.data import load_image
from c2f_zoo.data.scenes.textures import load_textures
from training.common.held_out import HeldOutTable

# Lower ends, in pixels, of the ranges of true motion.
LENGTHS = (0, 3, 10, 20, 40)
SHIFTS = (0, 1, 4, 16)
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def length_names(lengths=LENGTHS):
    """Names of the ranges of true motion, such as `"0-3"` and `"40+"`."""
    ends = [f"-{end}" for end in lengths[1:]] + ["+"]
    return [f"{start}{end}" for start, end in zip(lengths, ends, strict=True)]


def length_shares(flows):
    """Share of the pixels of flows (..., H, W, 2) in each range of `LENGTHS`."""
    length = np.linalg.norm(np.asarray(flows), axis=-1).ravel()
    return np.bincount(_ranges(length), minlength=len(LENGTHS)) / length.size


class LengthErrors:
    """End-point errors by the length of the true motion, over any number of flows."""

    def __init__(self):
        self.total, self.count = np.zeros((2, len(LENGTHS)))

    def update(self, truth, estimate, valid=None):
        """Add flows (..., H, W, 2), in pixels; `valid` (..., H, W, 1) is true where they count."""
        truth, estimate = np.asarray(truth, "float64"), np.asarray(estimate, "float64")
        counts = np.ones(truth.shape[:-1], bool) if valid is None else np.asarray(valid)[..., 0] > 0
        truth, estimate = truth[counts], estimate[counts]
        where = _ranges(np.linalg.norm(truth, axis=-1))
        error = np.linalg.norm(truth - estimate, axis=-1)
        self.total += np.bincount(where, error, minlength=len(LENGTHS))
        self.count += np.bincount(where, minlength=len(LENGTHS))

    def result(self):
        """Mean over all pixels as `"epe"`, and over each range of motion, NaN where it is empty."""
        with np.errstate(invalid="ignore"):
            means = self.total / self.count
        named = {f"epe_{name}": float(m) for name, m in zip(length_names(), means, strict=True)}
        return {"epe": float(self.total.sum() / self.count.sum()), **named}


def _ranges(length):
    return np.digitize(length, LENGTHS[1:])


def photographs_of(folder):
    """Photographs (H, W, 3), float in [0, 1], of a folder; painted ones without it."""
    if folder is None:
        return list(load_textures(None) / np.float32(255))
    return [load_image(path) for path in sorted(Path(folder).iterdir())]


def translated_pairs(photographs, shift, size):
    """Two frames of every photograph (H, W, 3) that is large enough, moved by whole pixels.

    The frames, `size` = (height, width), are cut out of the photographs' middle; the motion of
    `shift` pixels takes a direction of `DIRECTIONS` that changes from photograph to photograph.
    Returns frames 1 and 2 (N, height, width, 3) and the motion (N, 2), in pixels.
    """
    first, second, motions = [], [], []
    height, width = size
    for number, photograph in enumerate(photographs):
        x, y = (shift * step for step in DIRECTIONS[number % len(DIRECTIONS)])
        top = (photograph.shape[0] - height - abs(y)) // 2
        left = (photograph.shape[1] - width - abs(x)) // 2
        if top < 0 or left < 0:
            continue
        cut = photograph[top : top + height + abs(y), left : left + width + abs(x)]
        for frames, down, right in ((first, y, x), (second, -y, -x)):
            frames.append(cut[max(down, 0) :, max(right, 0) :][:height, :width])
        motions.append((x, y))
    return np.stack(first), np.stack(second), np.array(motions, "float32")


def translation_error(estimate, photographs, shift, size):
    """Median end-point error on `translated_pairs`, of the pixels that stay in the frame.

    `estimate` is a function of two images (H, W, 3) that returns their flow (H, W, 2).
    """
    first, second, motions = translated_pairs(photographs, shift, size)
    errors, (height, width) = [], size
    for one, two, (x, y) in zip(first, second, motions.astype(int), strict=True):
        flow = estimate(one, two)[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
        errors.append(np.linalg.norm(flow - (x, y), axis=-1).ravel())
    return float(np.median(np.concatenate(errors)))


class HeldOut(HeldOutTable):
    """Measures flow on held-out scenes and on photographs that move.

    The score is the geometric mean of the error on scenes and of the mean of the medians on
    photographs, so that neither wide nor fine motion is given up for the other.

    Args:
        table: File of the figures, `.csv`.
        preset: Folder of the best weights, a preset.
        batches: Held-out batches ((image1, image2), flow).
        photographs: Held-out photographs; see `translated_pairs`.
        size: (height, width) of the frames that are cut out of them.
    """

    def __init__(self, table, preset, batches, photographs, size):
        super().__init__(table, preset)
        self.batches, self.photographs, self.size = batches, photographs, size

    def measure(self):
        errors = LengthErrors()
        for images, truth in self.batches:
            errors.update(truth, backend.to_numpy(backend.predict_on_batch(self.model, images)))
        medians = {
            f"median_{shift}px": translation_error(
                self.model.flow, self.photographs, shift, self.size
            )
            for shift in SHIFTS
        }
        figures = {**errors.result(), **medians}
        moving = np.mean([medians[f"median_{shift}px"] for shift in SHIFTS if shift])
        return {"score": float(np.sqrt(figures["epe"] * moving)), **figures}
