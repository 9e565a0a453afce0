"""What every schedule counted in images has: phases in order, and steps of their batch sizes."""

import dataclasses
import math

from c2f_zoo.checks import whole


class PhasedSchedule:
    """Base of frozen dataclasses that keep `_phases`, each with `start`, `end`, `batch_size`."""

    @property
    def phases(self):
        """Every phase in order, as a tuple; iterating gives the same."""
        return self._phases

    def __iter__(self):
        return iter(self._phases)

    @property
    def total(self):
        """Number of images after which the schedule is done."""
        return self._phases[-1].end

    def phase_at(self, images):
        """The phase that holds once `images` have been shown; None once the schedule is done."""
        return next((phase for phase in self._phases if images < phase.end), None)

    def advance(self, images, steps):
        """Number of images shown after some more steps, each of the batch size that then holds.

        A step that crosses the end of a phase is not cut short, as in the released code of ProGAN.

        Args:
            images: Images shown so far.
            steps: Number of steps to take from there.

        Returns:
            Images shown after these.

        Example:
            >>> from c2f_zoo.training import GrowthSchedule
            >>> schedule = GrowthSchedule.by_images(8, stabilise=100, batch_sizes={4: 64, 8: 32})
            >>> [schedule.advance(0, steps) for steps in (1, 2, 3)]
            [64, 128, 160]
        """
        images, steps = whole("images", images, least=0), whole("steps", steps, least=0)
        for phase in self._phases:
            if images < phase.end:
                taken = min(steps, math.ceil((phase.end - images) / phase.batch_size))
                images, steps = images + taken * phase.batch_size, steps - taken
        return images + steps * self._phases[-1].batch_size

    def steps(self, start=0, stop=None):
        """Count the steps from one number of images shown until another is reached.

        Args:
            start: Images shown so far. Default 0.
            stop: Images to be shown at least. By default, and at most, `total`.

        Returns:
            Number of steps, 0 if `stop` is reached already.

        Example:
            >>> from c2f_zoo.training import GrowthSchedule
            >>> schedule = GrowthSchedule.by_images(8, stabilise=100, fade=50, batch_sizes=32)
            >>> schedule.steps(), schedule.advance(0, schedule.steps())
            (8, 256)
        """
        images, number = whole("start", start, least=0), 0
        stop = self.total if stop is None else min(whole("stop", stop, least=0), self.total)
        for phase in self._phases:
            end = min(phase.end, stop)
            if images < end:
                taken = math.ceil((end - images) / phase.batch_size)
                images, number = images + taken * phase.batch_size, number + taken
        return number

    def get_config(self):
        """The constructor's arguments, in types that JSON knows."""
        config = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        config["resolutions"] = [list(size) for size in self.resolutions]
        return {name: list(v) if isinstance(v, tuple) else v for name, v in config.items()}

    @classmethod
    def from_config(cls, config):
        """Build a schedule from the result of `get_config`."""
        return cls(**config)

    def _set(self, name, value):
        object.__setattr__(self, name, value)  # the way past `frozen` for one's own constructor


def table(rows, left=()):
    """Align the cells of rows, to the left in the columns that `left` names; lines of text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
