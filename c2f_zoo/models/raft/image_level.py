"""The image level of a network that refines its flow: repetitions and warm start."""

import numpy as np
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.models.raft.warm_start import expected_flow
from c2f_zoo.tasks.confidence import FlowWithUncertainty
from c2f_zoo.tasks.flow import FlowTask


class RefinedFlowTask(FlowTask):
    """Mixin of RAFT: `FlowTask` with a choice of the number of refinements and a warm start.

    Attributes:
        iterations: Refinements where a call names none.
        mixture: Whether the network tells how its errors are distributed.
        first_flow: `"zero"`, or `"regressed"` if the network finds a flow to start from itself.
    """

    feature_strides = (2, 4, 8)

    @property
    def feature_parts(self):
        """The encoder of what is correlated."""
        return [self.feature_encoder]

    def encode(self, images, condition=None, training=None):
        images = ops.cast(2.0 * images - 1.0, self.feature_encoder.compute_dtype)
        return self.feature_encoder.stages(images, training)

    def flow(
        self,
        image1,
        image2=None,
        batch_size=1,
        progress=None,
        confidence=False,
        iterations=None,
        warm_start=False,
        uncertainty=False,
        output="numpy",
        on_error="raise",
    ):
        """Estimate optical flow between two images, or between consecutive frames.

        Args:
            image1: Path, PIL image or array, (H, W, 3) and others; or frames of one size: what
                every flow network of the zoo takes.
            image2: The second image, or second images.
            batch_size: Frames computed at once.
            progress: Whether to show a progress bar.
            confidence: Whether to check each flow by that of the opposite direction.
            iterations: Refinements, an integer of at least 1; None: `self.iterations`.
            warm_start: Whether each flow starts from the one before, carried forward. Frames
                are computed one at a time then. A flow of the opposite direction has none.
            uncertainty: Whether to give the error that the network expects at each pixel; for
                networks with a `mixture`, and not together with `confidence`.
            output: `"numpy"`, or `"pil"` for pictures, of the flow alone.
            on_error: Of several pairs, whether one that cannot be read raises (`"raise"`), or is
                None in the result (`"skip"`).

        Returns:
            numpy float32 (H, W, 2), pixels, u right and v down, of image 1 towards image 2; for
            N frames a list of N - 1 of them; for N pairs a list of N. With `confidence` a
            `FlowWithConfidence` instead of each, with `uncertainty` a `FlowWithUncertainty`. With
            `output="pil"` PIL images instead of arrays.

        Raises:
            ValueError: Images of different sizes, empty or unreadable; fewer than two frames;
                iterations below 1; a warm start of a pair; uncertainty of a network without a
                mixture, or with `confidence`.

        Example:
            >>> import numpy as np
            >>> frames = np.zeros((3, 20, 30, 3), "uint8")
            >>> [flow.shape for flow in RAFT("small").flow(frames, iterations=2)]
            [(20, 30, 2), (20, 30, 2)]
        """
        if warm_start and image2 is not None:
            raise ValueError("warm_start needs consecutive frames. Received: pairs of images")
        self._check_uncertainty(uncertainty, confidence)
        options = {"iterations": iterations, "warm_start": warm_start, "uncertainty": uncertainty}
        options |= {"output": output, "on_error": on_error}
        return super().flow(image1, image2, batch_size, progress, confidence, **options)

    def flow_stream(
        self,
        frames,
        batch_size=1,
        confidence=False,
        iterations=None,
        warm_start=False,
        uncertainty=False,
    ):
        """Estimate the flows between consecutive frames of any iterable, lazily.

        Args:
            frames: Iterable of images as `flow` takes them, (H, W, 3) and others, of one size.
            batch_size: Flows computed at once.
            confidence, iterations, warm_start, uncertainty: As for `flow`.

        Yields:
            numpy float32 (H, W, 2) per consecutive pair, in pixels; with `confidence` a
            `FlowWithConfidence`, with `uncertainty` a `FlowWithUncertainty`.
        """
        self._check_uncertainty(uncertainty, confidence)
        options = {"iterations": iterations, "warm_start": warm_start, "uncertainty": uncertainty}
        flows = super().flow_stream(frames, batch_size, confidence, **options)
        yield from map(_separate, flows) if uncertainty else flows

    def _check_uncertainty(self, uncertainty, confidence):
        if uncertainty and not self.mixture:
            raise ValueError(
                "uncertainty needs a network that estimates it, such as RAFT('lite'). "
                "Received: a network with mixture=False"
            )
        if uncertainty and confidence:
            raise ValueError("Ask for uncertainty or for confidence. Received: both")

    def _flow_of_pair(self, first, second, confidence, uncertainty, **options):
        flow = super()._flow_of_pair(first, second, confidence, uncertainty=uncertainty, **options)
        return _separate(flow) if uncertainty else flow

    def _flow_of_two(self, frames, iterations, warm_start, uncertainty):
        images = frames[:1], frames[1:]
        batch = {"images": images, "iterations": self._count(iterations)}
        return _joined(backend.predict_on_batch(self, batch), uncertainty)

    def _flows_to(self, frames, features, iterations, warm_start, uncertainty):
        flows = []
        for part in [[frame] for frame in frames] if warm_start else [frames]:
            batch = {"frames": self._padded(part), "iterations": self._count(iterations)}
            if warm_start:
                # The flow of the pair before travels with the features; the first has none.
                features, before = features[:2], features[2:]
            if warm_start and (before or self.first_flow == "zero"):
                batch["initial_flow"] = expected_flow(before, features[0].shape)
            result = backend.predict_on_batch(self, {**batch, "features": features})
            flows += self._cropped(_joined(result, uncertainty), frames[0])
            features = [*result["features"], result["coarse_flow"]]
        return flows, features if warm_start else features[:2]

    def _flows_back(self, frames, features, **options):
        return super()._flows_back(frames, features[:2], **{**options, "warm_start": False})

    def _count(self, iterations):
        """Refinements as an array: an input of the compiled network, which then serves any."""
        iterations = self.iterations if iterations is None else iterations
        return np.array(checks.whole("iterations", iterations, least=1), "int32")


def _joined(result, uncertainty):
    """The flows of a result, with the uncertainty as a third channel if it is asked for."""
    parts = [result["flow"], *([result["uncertainty"]] if uncertainty else [])]
    return np.concatenate([backend.to_numpy(part) for part in parts], axis=-1)


def _separate(flow):
    """Undo `_joined`."""
    return FlowWithUncertainty(np.array(flow[..., :2]), np.array(flow[..., 2:]))
