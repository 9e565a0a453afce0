"""The image level of a network that refines its flow: repetitions and warm start."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.models.raft.warm_start import expected_flow
from c2f_zoo.tasks.flow import FlowTask


class RefinedFlowTask(FlowTask):
    """Mixin of RAFT: `FlowTask` with a choice of the number of refinements and a warm start.

    Attributes:
        iterations: Refinements where a call names none.
    """

    def flow(
        self,
        image1,
        image2=None,
        batch_size=1,
        progress=None,
        confidence=False,
        iterations=None,
        warm_start=False,
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
                are computed one at a time then. A flow of the opposite direction starts at 0.

        Returns:
            numpy float32 (H, W, 2), pixels, u right and v down, of image 1 towards image 2; for
            N frames a list of N - 1 of them; for N pairs a list of N. With `confidence` a
            `FlowWithConfidence` instead of each.

        Raises:
            ValueError: Images of different sizes, empty or unreadable; fewer than two frames;
                iterations below 1; a warm start of a pair.

        Example:
            >>> import numpy as np
            >>> frames = np.zeros((3, 20, 30, 3), "uint8")
            >>> [flow.shape for flow in RAFT("small").flow(frames, iterations=2)]
            [(20, 30, 2), (20, 30, 2)]
        """
        if warm_start and image2 is not None:
            raise ValueError("warm_start needs consecutive frames. Received: pairs of images")
        options = {"iterations": iterations, "warm_start": warm_start}
        return super().flow(image1, image2, batch_size, progress, confidence, **options)

    def flow_stream(
        self, frames, batch_size=1, confidence=False, iterations=None, warm_start=False
    ):
        """Estimate the flows between consecutive frames of any iterable, lazily.

        Args:
            frames: Iterable of images as `flow` takes them, (H, W, 3) and others, of one size.
            batch_size: Flows computed at once.
            confidence, iterations, warm_start: As for `flow`.

        Yields:
            numpy float32 (H, W, 2) per consecutive pair, in pixels; with `confidence` a
            `FlowWithConfidence`.
        """
        yield from super().flow_stream(
            frames, batch_size, confidence, iterations=iterations, warm_start=warm_start
        )

    def _flow_of_two(self, frames, iterations, warm_start):
        images = frames[:1], frames[1:]
        batch = {"images": images, "iterations": self._count(iterations)}
        return self.predict_on_batch(batch)["flow"]

    def _flows_to(self, frames, features, iterations, warm_start):
        flows = []
        for part in [[frame] for frame in frames] if warm_start else [frames]:
            batch = {"frames": self._padded(part), "iterations": self._count(iterations)}
            if warm_start:
                # The flow of the pair before travels with the features; the first has none.
                features, before = features[:2], features[2:]
                batch["initial_flow"] = expected_flow(before, features[0].shape)
            result = self.predict_on_batch({**batch, "features": features})
            flows += self._cropped(result["flow"], frames[0])
            features = [*result["features"], result["coarse_flow"]]
        return flows, features if warm_start else features[:2]

    def _flows_back(self, frames, features, iterations, warm_start):
        return super()._flows_back(frames, features[:2], iterations=iterations, warm_start=False)

    def _count(self, iterations):
        """Refinements as an array: an input of the compiled network, which then serves any."""
        iterations = self.iterations if iterations is None else iterations
        return np.array(checks.whole("iterations", iterations, least=1), "int32")
