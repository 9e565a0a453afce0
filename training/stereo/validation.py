"""Held-out figures of a stereo network while it trains, and its pictures."""

import numpy as np

from c2f_zoo import backend
from c2f_zoo.data import StereoScenes, Surfaces, disparity_picture
from c2f_zoo.metrics import BadPixelRate, DisparityError
from c2f_zoo.training import FlowPictures
from training.common.held_out import HeldOutTable
from training.stereo.recipe import ranged


class DisparityErrors:
    """End-point error and shares of bad pixels, of all pixels and of the visible ones."""

    def __init__(self):
        self.metrics = {}

    def update(self, truth, estimate, valid=None, occlusion=None):
        """Add disparities (..., H, W, 1) and masks: `valid` is 1 where the truth is known.

        A truth of 0 is unknown too.
        """
        truth = np.asarray(truth)
        weights = {"": np.ones_like(truth) if valid is None else np.asarray(valid)}
        if occlusion is not None:
            weights["_visible"] = weights[""] * (1 - np.asarray(occlusion))
        for part, weight in weights.items():
            if part not in self.metrics:
                self.metrics[part] = [DisparityError(), BadPixelRate(1), BadPixelRate(3)]
            pair = [np.reshape(x, (-1, *truth.shape[-3:])) for x in (truth, estimate)]
            for metric in self.metrics[part]:
                metric.update_state(*pair, sample_weight=np.reshape(weight, pair[0].shape))

    def result(self):
        """Dict of `epe` (pixels), `bad_1` and `bad_3` (percent), and `_visible` of each."""
        return {
            f"{metric.name}{part}": float(metric.result())
            for part, metrics in self.metrics.items()
            for metric in metrics
        }


def held_out_batches(recipe, textures):
    """Batches ((left, right), disparity, occlusion) of held-out scenes, numpy."""
    scenes = StereoScenes(
        size=recipe.validation_size,
        batch_size=4,
        textures=textures,
        layers=recipe.layers,
        surfaces=Surfaces(recipe.validation_nearest, recipe.depth),
        seed=987_654,
    )
    batches = []
    for index in range(recipe.validation_batches):
        scene = scenes.render(scenes.parameters(index))
        scene = {name: backend.to_numpy(value) for name, value in scene.items()}
        batches.append(((scene["left"], scene["right"]), scene["disparity"], scene["occlusion"]))
    return batches


class HeldOut(HeldOutTable):
    """Measures disparity on held-out scenes, over the whole range.

    The score is the geometric mean of the end-point error, which few wild pixels may rule, and
    the percentage of bad pixels.

    Args:
        table: File of the figures, `.csv`.
        preset: Folder of the best weights, a preset.
        batches: What `held_out_batches` made.
        max_disparity: Range of the network that is measured and saved.
    """

    def __init__(self, table, preset, batches, max_disparity):
        super().__init__(table, preset)
        self.batches, self.max_disparity = batches, max_disparity

    def on_epoch_end(self, epoch, logs=None):
        with ranged(self.model, self.max_disparity):
            super().on_epoch_end(epoch, logs)

    def measure(self):
        errors = DisparityErrors()
        for images, truth, occlusion in self.batches:
            estimate = backend.to_numpy(backend.predict_on_batch(self.model, images))
            errors.update(truth, estimate, occlusion=occlusion)
        figures = errors.result()
        return {"score": float(np.sqrt(figures["epe"] * figures["bad_3"])), **figures}


class DisparityPictures(FlowPictures):
    """Writes an image per epoch: left image, ground truth and estimate of a few fixed samples.

    Args:
        folder: Where `epoch_0001.png` and so on go.
        samples: ((left, right), disparity, ...): arrays (B, H, W, 3) and (B, H, W, 1).
        every: Epochs between pictures.
        limit: Range of the network that is shown.
    """

    def __init__(self, folder, samples, every=1, limit=128):
        super().__init__(folder, samples, every)
        self.limit = limit

    def on_epoch_end(self, epoch, logs=None):
        with ranged(self.model, self.limit):
            super().on_epoch_end(epoch, logs)

    def pictures(self, truth, estimate):
        limits = (0.0, float(truth.max()))
        return [disparity_picture(field, limits) for field in (truth, estimate)]
