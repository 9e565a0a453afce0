"""Stereo matching: the image level of every stereo network of the zoo, and its input checks."""

import warnings

import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.data.stereo.picture import disparity_picture
from c2f_zoo.tasks.confidence import checked_disparity
from c2f_zoo.tasks.outputs import as_output, check_output
from c2f_zoo.tasks.pairs import PairTask
from c2f_zoo.tasks.several import (
    ON_ERROR,
    failed,
    is_own,
    is_several,
    pairs_of,
    read_ahead,
    with_progress,
)
from c2f_zoo.tasks.swapped import seem_swapped


class StereoTask(PairTask):
    """Mixin that gives a stereo network its image level and its input checks.

    The network's `call` takes a rectified pair of images (B, H, W, 3), left and right, and returns
    the disparity of the left one.

    Attributes:
        minimum_size: Smallest height and width that `call` takes.
        output_stride: The image level pads images to its multiples, so that a compiled network
            serves all sizes of one grid.
    """

    minimum_size = 16
    output_stride = 16
    pair_verb = "disparity"
    example_size = (256, 512)

    def disparity(
        self, left, right, confidence=False, progress=None, output="numpy", on_error="raise"
    ):
        """Estimate the disparity of a rectified stereo pair, or of several.

        Args:
            left: Path, PIL image or array (H, W), (H, W, 1 to 4), uint8 or float in [0, 1], of any
                size: the image of the left camera. For several pairs a list or generator of
                them, an array (N, H, W, C), or the path of a folder of images or a video.
            right: The image of the right camera, of the size of the left one; or equally many.
            confidence: Whether to estimate the disparity of the right image too, which takes
                twice the time, and to tell by `left_right_check` what it confirms. The network
                gets both images mirrored and in the other order.
            progress: Whether to show a progress bar. By default for several pairs, where standard
                error is a terminal.
            output: `"numpy"`, or `"pil"` for pictures (`data.disparity_picture`), not together
                with `confidence`.
            on_error: Of several pairs, whether one that cannot be read raises (`"raise"`), or is
                None in the result, with a warning (`"skip"`).

        Returns:
            numpy float32 (H, W, 1), pixels: what is at column x of the left image is at
            x - disparity of the right one. For N pairs a list of N. With `confidence` instead of
            each disparity a named tuple `DisparityWithConfidence`: `disparity`, `confidence`
            (H, W, 1) in [0, 1], and `occlusion` (H, W, 1), 1 where it is not confirmed.
            With `output="pil"` PIL images instead of arrays.

        Raises:
            ValueError: Images of different sizes, empty or unreadable; not as many right images
                as left ones.

        Warns:
            UserWarning: The images seem to be swapped.

        Example:
            >>> import numpy as np
            >>> from c2f_zoo import PSMNet
            >>> left = right = np.zeros((20, 30, 3), "uint8")
            >>> PSMNet("basic", max_disparity=16).disparity(left, right).shape
            (20, 30, 1)
        """
        check_output(output, confidence)
        checks.one_of("on_error", on_error, ON_ERROR)
        if not (is_several(left) or is_several(right)):
            return self._disparity_of_pair(*_load_pair(left, right), confidence, output)
        pairs, total = pairs_of(left, right, ("left", "right"), "disparity")
        threaded = is_own(left) and is_own(right)
        reading = read_ahead(pairs, lambda pair: _load_pair(*pair), threaded)
        results = []  # in a loop of this method, so that warnings name the line that calls it
        for number, pair in enumerate(with_progress(reading, total, progress, "pair")):
            try:
                result = self._disparity_of_pair(*pair.result(), confidence, output)
            except Exception as error:
                result = failed(error, number, total, on_error)
            results.append(result)
        return results

    def _disparity_of_pair(self, left, right, confidence, output):
        if seem_swapped(left, right):
            warnings.warn(
                "The left and the right image seem to be swapped: the first is explained better by "
                "the second if things move to the right from one to the other.",
                stacklevel=3,
            )
        disparity = self._disparity_of_images(left, right)
        if not confidence:
            return as_output(disparity, output, disparity_picture)
        mirrored = self._disparity_of_images(right[:, ::-1], left[:, ::-1])
        return checked_disparity(disparity, mirrored[:, ::-1])

    def _disparity_of_images(self, left, right):
        height, width = left.shape[:2]
        pads = []
        for size in (height, width):
            padded = -(-max(size, self.minimum_size) // self.output_stride) * self.output_stride
            pads.append((0, padded - size))
        images = [np.pad(image, (*pads, (0, 0)), "edge")[None] for image in (left, right)]
        disparity = backend.to_numpy(backend.predict_on_batch(self, images))
        return np.array(disparity[0, :height, :width])

    def check_inputs(self, inputs):
        """Check the inputs of the network.

        Args:
            inputs: Pair of images (B, H, W, 3), left and right.

        Raises:
            ValueError: The inputs are none, or too small.
        """
        name = type(self).__name__
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            count = len(inputs) if isinstance(inputs, (list, tuple)) else type(inputs).__name__
            raise ValueError(f"{name} takes two images, left and right. Received: {count}")
        self.check_images(inputs)


def _load_pair(left, right):
    from c2f_zoo.data.files.images import check_same_size, load_image

    left, right = load_image(left), load_image(right)
    check_same_size(left, right, ("left", "right"))
    return left, right
