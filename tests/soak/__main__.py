"""Kills trainings at random moments and compares what they end with.

    python -m tests.soak                 9 kills of 3 trainings, as in the slow tests
    python -m tests.soak --kills 100     what the figures of docs/training.md come from
    python -m tests.soak --kind progan   one of the trainings

A training is killed by signal 9 (in a save, at a step or at any time) or told to stop by SIGTERM,
started again from what it left, and so on until it ends. Then its weights, averages, optimizers,
logs and presets must be those of a run that nothing broke, to the last bit. On PyTorch a process is
forked from one that has imported everything; it is a new process on the other backends.
"""

import argparse
import importlib
import multiprocessing
import os
import pathlib
import select
import signal
import sys
import tempfile
import time
from collections import Counter

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from tests.soak.trainings import TRAININGS
from tests.soak.worker import result_of, work

_PLANS = ("save", "save", "step", "step", "time", "term")


class Soak:
    """Breaks runs of one training, and counts where.

    Args:
        kind: Key of `TRAININGS`.
        home: Empty folder.
        seed: Of the moments.
        report: Function of a line of text.
    """

    def __init__(self, kind, home, seed, report=print):
        self.kind, self.home, self.report = kind, home, report
        self.random = np.random.default_rng((seed, list(TRAININGS).index(kind)))
        method = "fork" if os.environ["KERAS_BACKEND"] == "torch" else "spawn"
        self.context = multiprocessing.get_context(method)
        self.places, self.longest_stop, self.findings = Counter(), 0.0, []

    def run(self, kills):
        """Break runs so often, and compare those that end; return the number of runs."""
        begun = time.perf_counter()
        status, events = self._attempt(self.home / "unbroken", ("none",))
        self.seconds = time.perf_counter() - begun
        if status:
            raise RuntimeError(f"The unbroken run failed: {self._log('unbroken')}")
        self.calls = max(int(e.split()[1]) for e in events if e.startswith("saved"))
        self.steps = sum(event.startswith("step") for event in events)
        expected, runs = result_of(self.home / "unbroken"), 0
        while sum(self.places.values()) < kills:
            name = f"run_{runs}"
            while True:
                is_last = sum(self.places.values()) >= kills
                plan = ("none",) if is_last else self._plan()
                status, events = self._attempt(self.home / name, plan)
                if not self._is_broken(name, plan, status, events):
                    break
            runs += 1
            self._compare(name, expected)
        return runs

    def _plan(self):
        kind = str(self.random.choice(_PLANS))
        if kind == "save":
            return kind, int(self.random.integers(3)), int(self.random.integers(self.calls))
        if kind == "time":
            return kind, float(self.random.uniform(0, self.seconds / 2))
        number = int(self.random.integers(1, max(2, self.steps // 3)))
        return kind, number, float(self.random.uniform(0, self.seconds / self.steps))

    def _attempt(self, folder, plan):
        """Start the training and break it by a plan; return its exit status and what it told."""
        folder.mkdir(exist_ok=True)
        kind, *when = plan
        reading, writing = os.pipe()
        target = tuple(when) if kind == "save" else None
        arguments = (self.kind, folder, writing, target)
        os.set_inheritable(writing, True)
        process = self.context.Process(target=work, args=arguments)
        process.start()
        os.close(writing)
        at = time.perf_counter() + when[0] if kind == "time" else None
        number = signal.SIGTERM if kind == "term" else signal.SIGKILL
        events, sent = b"", None
        while True:
            wait = None if at is None or sent else max(0, at - time.perf_counter())
            if not select.select([reading], [], [], wait)[0]:
                sent = time.perf_counter()
                os.kill(process.pid, number)
                continue
            part = os.read(reading, 1 << 16)
            if not part:
                break
            events += part
            if kind in ("step", "term") and at is None and events.count(b"step") >= when[0]:
                at = time.perf_counter() + when[1]
        process.join()
        os.close(reading)
        if kind == "term" and sent:
            self.longest_stop = max(self.longest_stop, time.perf_counter() - sent)
        return process.exitcode, events.decode().splitlines()

    def _is_broken(self, name, plan, status, events):
        """Count where an attempt was broken; False if it came to its end."""
        last = events[-1] if events else ""
        if status == -signal.SIGKILL:
            place = "in a save" if last == "save" else last.removeprefix("step").strip()
            place = "before the first step" if not last else place
            self.places["elsewhere" if place.startswith("saved") or not place else place] += 1
            return True
        if status:
            raise RuntimeError(f"{plan} ended with {status}: {self._log(name)}")
        if plan[0] == "term" and "Stopping after this" in self._log(name).rpartition("\0")[2]:
            self.places["SIGTERM, exit 0"] += 1
            with open(self.home / f"{name}.txt", "a") as file:
                file.write("\0")
            return True
        return False

    def _log(self, name):
        path = self.home / f"{name}.txt"
        return path.read_text("utf-8", "replace")[-3000:] if path.exists() else ""

    def _compare(self, name, expected):
        found = result_of(self.home / name)
        wrong = [key for key in {*expected, *found} if expected.get(key) != found.get(key)]
        left = [path.name for path in (self.home / name).rglob(".c2f-*")]
        for key in sorted(wrong) + left:
            self.findings.append(f"{self.kind}, {name}: {key}")
            self.report(f"differs: {self.findings[-1]}")


def main(argv=None):
    """Soak as the command line says; return 0 if nothing differs."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=9, help="of all trainings (%(default)s)")
    parser.add_argument("--kind", choices=TRAININGS, help="one training (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (%(default)s)")
    arguments = parser.parse_args(argv)
    if os.environ["KERAS_BACKEND"] == "torch":
        # What takes long to import, before the processes are forked; and nothing of TensorFlow,
        # which Keras and TensorBoard import where it is.
        sys.modules["tensorflow"] = sys.modules["tensorboard"] = None
        for name in ("c2f_zoo.models", "c2f_zoo.training", "tqdm", "training.common.runs"):
            importlib.import_module(name)

    kinds, begun, findings = [arguments.kind] if arguments.kind else list(TRAININGS), time.time(), 0
    for index, kind in enumerate(kinds):
        kills = len(range(index, arguments.kills, len(kinds)))
        with tempfile.TemporaryDirectory() as home:
            soak = Soak(kind, pathlib.Path(home), arguments.seed)
            runs = soak.run(kills)
        places = ", ".join(f"{count} {place}" for place, count in sorted(soak.places.items()))
        print(
            f"{kind}: {kills} times broken ({places}), {runs} runs compared, "
            f"{len(soak.findings)} differences, "
            f"at most {soak.longest_stop:.1f} s from SIGTERM to the exit",
            flush=True,
        )
        findings += len(soak.findings)
    print(f"{arguments.kills} times broken, {findings} differences, {time.time() - begun:.0f} s")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
