"""Reads the results of `multilevel.py`, and compares its arms at equal time and equal loss."""

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ARMS = ("single", "multiscale", "measured", "fullmultiscale")
TASKS = ("denoising", "deblurring", "inpainting", "superresolution")


class Job(NamedTuple):
    """The work of one process, and the file of its result."""

    dataset: str
    task: str
    arm: str
    share: str
    seed: int

    @classmethod
    def of(cls, name):
        *parts, seed = name.split("_")
        return cls(*parts, int(seed))

    @property
    def name(self):
        return "_".join(map(str, self))

    def file(self, out):
        return Path(out) / f"{self.name}.json"


def read(file):
    """Read a result, or return None if there is none yet."""
    return json.loads(file.read_text()) if file.exists() else None


def read_results(out):
    """Return finished runs by (data set, task), (arm, share) and seed; and variances."""
    runs, variances = defaultdict(lambda: defaultdict(dict)), defaultdict(dict)
    for file in sorted(Path(out).glob("*_*_*_*_*.json")):
        record = read(file)
        if not record["finished"]:
            continue
        group = record["dataset"], record["task"]
        if record["arm"] == "variance":
            variances[group][record["share"]] = record
        else:
            runs[group][record["arm"], int(record["share"])][record["seed"]] = record
    for group, found in runs.items():
        check_starts(group, found)
    return runs, variances


def check_starts(group, found):
    """Raise if runs of one seed started with different weights."""
    starts = defaultdict(set)
    for records in found.values():
        for seed, record in records.items():
            starts[seed].add(record["first_weights"])
    for seed, weights in starts.items():
        if len(weights) > 1:
            raise SystemExit(f"{group}: the runs of seed {seed} began with different weights")


def times_less(found, arm, clock):
    """Reduction factors of the seeds that reach the single loss, and the number of seeds run."""
    less, tried = {"work": [], clock: []}, 0
    for seed, single in found["single", 1].items():
        runs, end = runs_of_arm(found, arm, seed), final(single)
        tried += bool(runs)
        for axis, values in less.items():
            at = first_reach(runs, end["loss"], axis)
            if at is not None:
                values.append(end[axis] / max(at, 1e-9))
    return less, tried


def final(record):
    return record["evaluations"][-1]


def runs_of_arm(found, arm, seed):
    """Return the runs of an arm with one seed, the shortest first."""
    shares = sorted((share for name, share in found if name == arm), reverse=True)
    return [found[arm, share][seed] for share in shares if seed in found[arm, share]]


def at_clock(runs, clock, seconds, name):
    """Return a figure of an arm after a number of seconds, and whether it is from ends of runs.

    Between the ends of two runs it is interpolated over the logarithm of time. Before the end of
    the shortest run it is the value within that run, before its learning rate has decayed.
    """
    import numpy as np

    ends = [final(run)[clock] for run in runs]
    if seconds < ends[0]:
        points = runs[0]["evaluations"]
        found = np.interp(seconds, [p[clock] for p in points], [p[name] for p in points])
        return float(found), False
    order = np.argsort(ends)
    logarithms = [math.log(max(ends[i], 1e-9)) for i in order]
    values = [final(runs[i])[name] for i in order]
    return float(np.interp(math.log(seconds), logarithms, values)), True


def first_reach(runs, target, axis):
    """Return the least work or time at which a run has a loss of at most the target."""
    reached = []
    for run in runs:
        points = run["evaluations"]
        for before, after in zip(points, points[1:], strict=False):
            if after["loss"] <= target:
                share = (before["loss"] - target) / max(before["loss"] - after["loss"], 1e-30)
                share = min(1.0, max(0.0, share))
                reached.append(before[axis] + share * (after[axis] - before[axis]))
                break
    return min(reached, default=None)
