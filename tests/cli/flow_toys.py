"""A stand-in for a flow network, and the check of an error of the command line."""

import numpy as np

from c2f_zoo.cli.main import main
from c2f_zoo.tasks.confidence import FlowWithUncertainty, checked_flow


class ShiftModel:
    """Answers with a motion of 2 px to the right and 1 px up, whatever it sees."""

    def __init__(self):
        self.calls = []

    def flow(self, first, second, confidence=False):
        assert first.shape == second.shape
        flow = np.full((*first.shape[:2], 2), (2.0, -1.0), np.float32)
        return checked_flow(flow, -flow) if confidence else flow

    def flow_stream(self, frames, batch_size=4, confidence=False):
        self.calls.append(batch_size)
        held = None
        for frame in frames:
            if held is not None:
                yield self.flow(held, frame, confidence)
            held = frame


class UncertainModel(ShiftModel):
    """The same, which expects errors of 4 px in the first row and of 1 px elsewhere."""

    mixture = True

    def flow(self, first, second, uncertainty=False):
        flow = super().flow(first, second)
        expected = np.ones((*flow.shape[:2], 1), np.float32)
        expected[0] = 4.0
        return FlowWithUncertainty(flow, expected) if uncertainty else flow

    def flow_stream(self, frames, batch_size=4, uncertainty=False):
        frames = list(frames)
        for pair in zip(frames, frames[1:], strict=False):
            yield self.flow(*pair, uncertainty=uncertainty)


def error_of(capsys, arguments, status=1):
    """Run, check the exit status and that the error is one line; return that line."""
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("c2f: error: "), captured.err
    return lines[0]
