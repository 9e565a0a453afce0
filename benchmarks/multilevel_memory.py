"""Peak memory of one multilevel step: mesh by mesh, and with all meshes in one loss."""

import argparse
import json
import resource
import sys
from pathlib import Path

from growth import save  # the file beside this one
from measuring import run_inside  # the file beside this one
from multilevel_runs import stages_with

SINGLE, ACCUMULATED, ONE_LOSS = "single", "multiscale, mesh by mesh", "multiscale, as one loss"


def measure_memory(options):
    """Measure every kind of step in its own process, and write `memory.json`."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    large = [options.memory_batch * 2**term for term in range(options.levels + 1)]
    small = [max(1, size // 4) for size in large]
    rows = []
    for kind, sizes in [
        (SINGLE, large[:1]),
        *((kind, sizes) for sizes in (large, small) for kind in (ACCUMULATED, ONE_LOSS)),
    ]:
        asked = {"kind": kind, "batch_sizes": sizes, "size": options.memory_size}
        rows.append(in_own_process({**asked, "tiny": options.tiny}, options.backend))
        print(rows[-1], file=sys.stderr, flush=True)
    about = {"network": "U-Net", "size": options.memory_size, "backend": options.backend}
    save(out / "memory.json", {**about, "steps": rows})


def in_own_process(asked, backend):
    return {**asked, **run_inside(__file__, backend, json.dumps(asked))}


def one_step(asked):
    """Measure work units and peak memory of a step, above the built network."""
    import keras
    import numpy as np

    from c2f_zoo.models import MultiscaleUNet
    from c2f_zoo.training import Multilevel, MultilevelSchedule

    schedule = MultilevelSchedule(stages_with(tuple(asked["batch_sizes"]), 1e9))
    network = MultiscaleUNet(16, (1, 2)) if asked["tiny"] else MultiscaleUNet()
    training = (summed_loss() if asked["kind"] == ONE_LOSS else Multilevel)(
        network, schedule=schedule
    )
    training.compile(keras.optimizers.Adam(), "mse")
    random, count = np.random.default_rng(0), schedule.at(0).samples
    images = random.random((count, asked["size"], asked["size"], 3), dtype="float32")
    times = random.random(count, dtype="float32")
    # Keras builds the model by a forward pass of the first batch, which must not be measured.
    network((images[:1], times[:1]))
    before = peak_of_all_time()
    training.train_on_batch((images, times), images)
    return {"work": float(schedule.at(0).work), "memory": peak_of_all_time() - before}


def summed_loss():
    """Return a `Multilevel` whose step differentiates the sum of all terms at once."""
    from keras import ops

    from c2f_zoo.layers import restrict
    from c2f_zoo.training import Multilevel

    class SummedLoss(Multilevel):
        def compute_step(self, data, calls):
            (images, times), targets, _ = self._prepared(data)
            stage, weights = self.planner.phase, self.model.trainable_variables

            def loss_on(mesh, chosen):
                small, wanted = (restrict(part[chosen], 2**mesh) for part in (images, targets))
                made = self.model((small, times[chosen]), training=True)
                return ops.mean(ops.square(made - wanted))

            def loss():
                total, first = 0.0, 0
                for term, count in enumerate(stage.batch_sizes):
                    chosen = slice(first, first + count)
                    first += count
                    total = total + loss_on(stage.mesh + term, chosen)
                    if term < stage.corrections:
                        total = total - loss_on(stage.mesh + term + 1, chosen)
                return total, total

            estimate, gradients = calls.loss_gradients(loss, weights)
            calls.apply(self.optimizer, gradients, weights)
            self.steps.assign(self.steps + 1)
            return {"loss": estimate}

    return SummedLoss


def peak_of_all_time():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("asked", help=argparse.SUPPRESS)
    print(json.dumps(one_step(json.loads(parser.parse_args().asked))))
