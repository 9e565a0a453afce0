"""Stereo matching: the image level of every stereo network of the zoo, and its input checks."""

import warnings

import numpy as np

from c2f_zoo import backend
from c2f_zoo.tasks.pairs import PairTask
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

    def disparity(self, left, right):
        """Estimate the disparity of a rectified stereo pair, or of several.

        Args:
            left: Path, PIL image or array (H, W), (H, W, 1 to 4), uint8 or float in [0, 1], of any
                size: the image of the left camera. For several pairs a list of them, or an array
                (N, H, W, C).
            right: The image of the right camera, of the size of the left one; or a list or array
                of equally many.

        Returns:
            numpy float32 (H, W, 1), pixels: what is at column x of the left image is at
            x - disparity of the right one. For N pairs a list of N.

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
        if not _is_several(left) and not _is_several(right):
            return self._disparity_of_pair(left, right)
        if not (_is_several(left) and _is_several(right) and len(left) == len(right)):
            counts = [len(x) if _is_several(x) else "one image" for x in (left, right)]
            raise ValueError(
                "left and right must hold equally many images. "
                f"Received: {counts[0]} and {counts[1]}"
            )
        return [self._disparity_of_pair(*pair) for pair in zip(left, right, strict=True)]

    def _disparity_of_pair(self, left, right):
        left, right = _load_pair(left, right)
        if seem_swapped(left, right):
            warnings.warn(
                "The left and the right image seem to be swapped: the first is explained better by "
                "the second if things move to the right from one to the other.",
                stacklevel=3,
            )
        height, width = left.shape[:2]
        pads = []
        for size in (height, width):
            padded = -(-max(size, self.minimum_size) // self.output_stride) * self.output_stride
            pads.append((0, padded - size))
        images = [np.pad(image, (*pads, (0, 0)), "edge")[None] for image in (left, right)]
        disparity = backend.to_numpy(self.predict_on_batch(images))
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


def _is_several(source):
    """Whether `source` stands for several images: a list, or an array of four axes."""
    return isinstance(source, (list, tuple)) or len(getattr(source, "shape", ())) == 4


def _load_pair(left, right):
    from c2f_zoo.data.files.images import check_same_size, load_image

    left, right = load_image(left), load_image(right)
    check_same_size(left, right, ("left", "right"))
    return left, right
