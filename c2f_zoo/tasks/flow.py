"""Optical flow: the image level of every flow network of the zoo, and its input checks."""

import operator

import numpy as np
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.data.flow.picture import flow_picture
from c2f_zoo.layers import pad_to_stride, padding_before
from c2f_zoo.tasks.confidence import checked_flow
from c2f_zoo.tasks.outputs import as_output, check_output
from c2f_zoo.tasks.pairs import PairTask
from c2f_zoo.tasks.several import (
    ON_ERROR,
    failed,
    images_of,
    is_own,
    is_several,
    pairs_of,
    read_ahead,
    with_progress,
)


class FlowTask(PairTask):
    """Mixin that gives a flow network its image level and its input checks.

    The network's `call` takes a pair of images (B, H, W, 3), or a stack of consecutive frames
    (N, H, W, 3), and returns flows. For a stream of frames it takes and returns dictionaries:
    `{"frames": (N, H, W, 3)}` gives `{"features": ...}` of the last frame, and `{"frames",
    "features"}` gives `{"flow": (N, H, W, 2), "features": ...}`, the flows from the frame whose
    features were given through all of these. The features are whatever the network needs.

    Attributes:
        minimum_size: Smallest height and width that `call` takes.
        output_stride: The image level pads images to its multiples, so that a compiled network
            serves all sizes of one grid.
        padding_place: Where that padding goes, as of `pad_to_stride`.
    """

    minimum_size = 16
    output_stride = 1
    padding_place = "end"

    def flow(
        self,
        image1,
        image2=None,
        batch_size=4,
        progress=None,
        confidence=False,
        output="numpy",
        on_error="raise",
        **options,
    ):
        """Estimate optical flow between two images, or between consecutive frames.

        Args:
            image1: Path, PIL image or array (H, W), (H, W, 1 to 4), uint8 or float in [0, 1], of
                any size. Without `image2` frames of one size: a list, a generator, an array
                (N, H, W, C), or the path of a folder of images or a video.
            image2: The second image, of the size of the first; or, if `image1` is a list, array,
                folder or video, as many second images, for the flow of each pair.
            batch_size: Frames computed at once. Each goes through the feature pyramid once.
            progress: Whether to show a progress bar with the mean time per flow. By default for
                several flows, where standard error is a terminal.
            confidence: Whether to estimate the flow of the opposite direction too, which takes
                twice the time, and to tell by `forward_backward_check` what it confirms.
            output: `"numpy"`, or `"pil"` for pictures with a legend (`data.flow_picture`), not
                together with `confidence`.
            on_error: Of several pairs, whether one that cannot be read raises (`"raise"`), or is
                None in the result, with a warning (`"skip"`). Of frames one always raises; take
                `flow_stream` to keep the flows before it.
            **options: Of the network, if it has any.

        Returns:
            numpy float32 (H, W, 2), pixels, u right and v down, of image 1 towards image 2; for
            N frames a list of N - 1 of them; for N pairs a list of N. With `confidence` instead
            of each flow a named tuple `FlowWithConfidence`: `flow` (H, W, 2), `confidence`
            (H, W, 1) in [0, 1], and `occlusion` (H, W, 1), 1 where the flow is not confirmed.
            With `output="pil"` PIL images instead of arrays.

        Raises:
            ValueError: Images of different sizes, empty or unreadable; fewer than two frames;
                not as many second images as first ones.

        Example:
            >>> from c2f_zoo import PWCNetLite
            >>> frames = np.zeros((3, 20, 30, 3), "uint8")
            >>> [flow.shape for flow in PWCNetLite().flow(frames)]
            [(20, 30, 2), (20, 30, 2)]
        """
        check_output(output, confidence or options.get("uncertainty", False))
        checks.one_of("on_error", on_error, ON_ERROR)
        if image2 is None:
            frames = images_of(image1, "flow")
            total = max(0, operator.length_hint(frames) - 1)
            frames = (frame.result() for frame in read_ahead(frames, _load, is_own(image1)))
            flows = self.flow_stream(frames, batch_size, confidence=confidence, **options)
            flows = with_progress(flows, total, progress, "flow")
            return [as_output(flow, output, flow_picture) for flow in flows]
        if not is_several(image1):
            flow = self._flow_of_pair(*_load_pair(image1, image2), confidence, **options)
            return as_output(flow, output, flow_picture)
        pairs, total = pairs_of(image1, image2, ("image1", "image2"), "flow")
        threaded = is_own(image1) and is_own(image2)
        reading = read_ahead(pairs, lambda pair: _load_pair(*pair), threaded)
        results = []
        for number, pair in enumerate(with_progress(reading, total, progress, "flow")):
            try:
                flow = self._flow_of_pair(*pair.result(), confidence, **options)
                results.append(as_output(flow, output, flow_picture))
            except Exception as error:
                results.append(failed(error, number, total, on_error))
        return results

    def _flow_of_pair(self, first, second, confidence, **options):
        pair = [first, second]
        flow = self._cropped(self._flow_of_two(self._padded(pair), **options), first)[0]
        if not confidence:
            return flow
        backward = self._flow_of_two(self._padded(pair[::-1]), **options)
        return checked_flow(flow, self._cropped(backward, first)[0])

    def _flow_of_two(self, frames):
        """Flow (1, H, W, 2) between two padded frames (2, H, W, 3)."""
        return backend.predict_on_batch(self, frames)

    def flow_stream(self, frames, batch_size=4, confidence=False, **options):
        """Estimate the flows between consecutive frames of any iterable, lazily.

        Args:
            frames: Iterable of images as `flow` takes them, all of one size.
            batch_size: Flows computed at once.
            confidence: As for `flow`.
            **options: Of the network, if it has any.

        Yields:
            numpy float32 (H, W, 2) per consecutive pair, in pixels; with `confidence` a
            `FlowWithConfidence`.

        Raises:
            ValueError: Fewer than two frames, or frames of different sizes.

        Example:
            >>> from c2f_zoo import PWCNetLite
            >>> video = (np.zeros((16, 16, 3), "uint8") for _ in range(3))
            >>> sum(1 for flow in PWCNetLite().flow_stream(video))
            2
        """
        batch_size = checks.whole("batch_size", batch_size, least=1)
        # A batch holds the new frames; of the frame before them only the features are kept, and
        # the frame itself for the way back.
        held, before, count, features = [], None, 0, None
        for frame in frames:
            count += 1
            frame = _load(frame, held[-1] if held else before)
            if count == 1:
                before = frame
                continue
            if count == 2:
                features = backend.predict_on_batch(self, {"frames": self._padded([before])})[
                    "features"
                ]
            held.append(frame)
            if len(held) == batch_size:
                flows, features = self._flows_of(before, held, features, confidence, options)
                yield from flows
                before, held = held[-1], []
        if count < 2:
            raise ValueError(f"flow needs at least two frames. Received: {count}")
        if held:
            yield from self._flows_of(before, held, features, confidence, options)[0]

    def _flows_of(self, before, frames, features, confidence, options):
        """Flows from the frame before through new ones, checked if asked; the last's features."""
        flows, features = self._flows_to(frames, features, **options)
        if confidence:
            back = self._flows_back([*frames[-2::-1], before], features, **options)
            flows = list(map(checked_flow, flows, reversed(back)))
        return flows, features

    def _flows_to(self, frames, features):
        """Flows that lead to each new frame, and the features of the last."""
        result = backend.predict_on_batch(
            self, {"frames": self._padded(frames), "features": features}
        )
        return self._cropped(result["flow"], frames[0]), result["features"]

    def _flows_back(self, frames, features, **options):
        """Flows that lead back through frames, from that whose features are given."""
        return self._flows_to(frames, features, **options)[0]

    def _padded(self, images):
        """Stack images, padded on the host to the network's stride and minimum size."""
        stride = self.output_stride
        pads = []
        for axis, size in enumerate(images[0].shape[:2], start=1):
            padding = -(-max(size, self.minimum_size) // stride) * stride - size
            before = padding_before(padding, axis, self.padding_place)
            pads.append((before, padding - before))
        return np.pad(np.stack(images), ((0, 0), *pads, (0, 0)), "edge")

    def _cropped(self, flows, image):
        height, width = image.shape[:2]
        flows = backend.to_numpy(flows)
        top = padding_before(flows.shape[1] - height, 1, self.padding_place)
        left = padding_before(flows.shape[2] - width, 2, self.padding_place)
        return [np.array(flow[top : top + height, left : left + width]) for flow in flows]

    def check_inputs(self, inputs):
        """Check the inputs of the network.

        Args:
            inputs: Pair of images (B, H, W, 3), or frames (N, H, W, 3), or a dictionary of frames
                and, except for the first, the features of the frame before them.

        Raises:
            ValueError: The inputs are none of these, or too small.
        """
        is_stream = isinstance(inputs, dict)
        if is_stream:
            if not {"frames"} <= set(inputs) <= {"frames", "features"}:
                raise ValueError(
                    f"{type(self).__name__} takes a dictionary of 'frames' and, except for the "
                    f"first, 'features' of the frame before. Received: keys {sorted(inputs)}"
                )
            inputs = inputs["frames"]
            if isinstance(inputs, (list, tuple)):
                raise ValueError(
                    "The frames of a stream must be one array (N, H, W, 3). "
                    f"Received: {len(inputs)} of them"
                )
        is_pair = isinstance(inputs, (list, tuple))
        images = inputs if is_pair else [inputs]
        if is_pair and len(images) != 2:
            raise ValueError(f"{type(self).__name__} takes two images. Received: {len(images)}")
        self.check_images(images)
        count = images[0].shape[0]
        if not (is_pair or is_stream) and count is not None and count < 2:
            raise ValueError(
                "A stack of frames needs at least two of them. "
                f"Received: shape {tuple(images[0].shape)}"
            )


def pad_truth(flow, weight, stride):
    """Pad ground truth to the network's grid; padding gets no weight.

    Args:
        flow: Ground truth (B, H, W, 2), pixels. TensorFlow may not know H and W yet.
        weight: Validity mask (B, H, W, 1), (B, H, W) or (B,), or None.
        stride: The network's output stride.

    Returns:
        Flow (B, H', W', 2), and the weight (B, H', W', 1), or as it was given if H and W are
        known to be multiples of the stride.
    """
    if all(size is not None and size % stride == 0 for size in flow.shape[1:3]):
        return flow, weight
    weight = ops.ones_like(flow[..., :1]) if weight is None else ops.cast(weight, "float32")
    while len(weight.shape) < 4:
        weight = weight[..., None]
    weight = ops.broadcast_to(weight, (*ops.shape(flow)[:3], 1))
    return pad_to_stride(flow, stride), pad_to_stride(weight, stride, mode="zero")


def _load_pair(image1, image2):
    first = _load(image1)
    return first, _load(image2, first)


def _load(image, previous=None):
    """Load an image, and check that it has the size of the previous one."""
    from c2f_zoo.data.files.images import load_image

    image = load_image(image)
    if previous is not None and image.shape != previous.shape:
        sizes = (f"{width}x{height}" for height, width, _ in (previous.shape, image.shape))
        raise ValueError(
            f"All frames must have one size. Received: {' and then '.join(sizes)} (width x height)"
        )
    return image
