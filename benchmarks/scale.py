"""Estimates how synchronous training scales to many devices, from counted work and assumed speeds.

    KERAS_BACKEND=jax python benchmarks/scale.py
    KERAS_BACKEND=jax python benchmarks/scale.py --devices 8 64 512 --teraflops 60 --network 25

Counted here: the multiplications of the convolutions of a training step (three times those of the
forward passes), the weights whose gradients are averaged, and the bytes of a sample. Assumed, by
options: what a device computes, what links carry. Simulated: steps whose devices vary in speed, of
which the slowest decides, input that is read in advance, and an averaging of gradients that begins
while the backward pass still runs. The figures show where a limit lies, not what a machine reaches.
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import recorded_convolutions

HOST = 8  # devices of a host


@dataclass(frozen=True)
class Workload:
    """A training as its paper has it.

    Args:
        batch: Samples of a device in a step.
        sample: Bytes of a sample as it is read: images in 8 bits, flow and disparity in 32.
        passes: (name of a forward pass of `forwards`, how many of them a step has).
    """

    batch: int
    sample: int
    passes: tuple


# Chairs: two frames and a flow of 384x512. SceneFlow: two crops and a disparity of 256x512. CelebA
# and FFHQ: one image. U-Net: one image, of which the noisy one is made on the device. A step of a
# pair: the discriminator sees reals and fakes, twice the generator's; R1 every 16 steps.
WORKLOADS = {
    "PWC-Net": Workload(8, 384 * 512 * (6 + 8), (("PWC-Net", 1),)),
    "RAFT": Workload(2, 368 * 496 * (6 + 8), (("RAFT", 1),)),
    "PSMNet": Workload(3, 256 * 512 * (6 + 4), (("PSMNet", 1),)),
    "ProGAN 128": Workload(16, 128 * 128 * 3, (("ProGAN G", 2), ("ProGAN D", 4))),
    "StyleGAN2 256": Workload(4, 256 * 256 * 3, (("StyleGAN2 G", 2.5), ("StyleGAN2 D", 3.1))),
    "U-Net 128": Workload(16, 128 * 128 * 3, (("U-Net", 1),)),
}


def forwards(tiny):
    """The networks and what one sample of their forward pass is, by name."""
    from c2f_zoo import models

    if tiny:
        small = {"latent_size": 4, "num_filters": (8, 4)}
        network = models.MultiscaleUNet(
            width=8, multipliers=(1, 2), groups=4, attention=0, time_embedding=False
        )
        pair = models.ProGAN(8, **small)
        return {
            "U-Net": (network, lambda: network(image(16, 16)), network.count_params()),
            "ProGAN G": (pair, lambda: pair.generator(latents(4)), pair.generator.count_params()),
            "ProGAN D": (
                pair,
                lambda: pair.discriminator(image(8, 8)),
                pair.discriminator.count_params(),
            ),
        }
    flow, raft, stereo = models.PWCNet("released"), models.RAFT("large"), models.PSMNet()
    progan, style = models.ProGAN(128), models.StyleGAN2(256)
    network = models.MultiscaleUNet()
    return {
        "PWC-Net": (flow, lambda: flow((image(384, 448),) * 2), flow.count_params()),
        "RAFT": (raft, lambda: raft((image(368, 496),) * 2), raft.count_params()),
        "PSMNet": (stereo, lambda: stereo((image(256, 512),) * 2), stereo.count_params()),
        **of_pair("ProGAN", progan, 128),
        **of_pair("StyleGAN2", style, 256),
        "U-Net": (
            network,
            lambda: network((image(128, 128), np.zeros(1, "float32"))),
            network.count_params(),
        ),
    }


def of_pair(name, pair, size):
    """The two networks of a pair."""
    generator, discriminator = pair.generator, pair.discriminator
    return {
        f"{name} G": (
            pair,
            lambda: generator(latents(generator.latent_size)),
            generator.count_params(),
        ),
        f"{name} D": (
            pair,
            lambda: discriminator(image(size, size)),
            discriminator.count_params(),
        ),
    }


def image(height, width):
    """One random image."""
    return np.random.default_rng(0).random((1, height, width, 3)).astype("float32")


def latents(size):
    """One random latent vector."""
    return np.random.default_rng(0).normal(size=(1, size)).astype("float32")


def operations(call):
    """Multiplications and additions of the convolutions that a call computes."""
    total = 0
    for name, x, kernel, _, options in recorded_convolutions(call):
        strides = options.get("strides", 1)
        strides = (strides,) * (len(x) - 2) if isinstance(strides, int) else strides
        pixels = math.prod(x[1:-1])
        if name == "conv":  # a transposed one has a product for each of its input's pixels
            pixels /= math.prod(strides)
        total += 2 * pixels * math.prod(kernel)
    return total


@dataclass(frozen=True)
class Cluster:
    """What is assumed about the machines.

    Args:
        teraflops: That a device sustains.
        link: GB/s between the devices of a host, each way.
        network: GB/s of a host to others, each way.
        latency: Seconds of a message.
        disk: MB/s of samples that a host decodes.
        jitter: Standard deviation of the logarithm of a device's step time.
        overlap: Share of the backward pass during which gradients travel.
    """

    teraflops: float
    link: float
    network: float
    latency: float
    disk: float
    jitter: float
    overlap: float = 0.8


def all_reduce_seconds(size, devices, cluster):
    """Seconds to average `size` bytes over devices: a ring in each host, then one of hosts."""
    inside, hosts = min(devices, HOST), -(-devices // HOST)
    seconds = 0.0
    if inside > 1:
        seconds += 2 * (inside - 1) * (size / inside / (cluster.link * 1e9) + cluster.latency)
    if hosts > 1:
        seconds += 2 * (hosts - 1) * (size / hosts / (cluster.network * 1e9) + cluster.latency)
    return seconds


def simulate(work, size, sample_bytes, devices, cluster, steps=400, seed=0):
    """Seconds of a step: median over simulated ones, and the share spent waiting for input.

    Args:
        work: Operations of a device in a step.
        size: Bytes of gradients.
        sample_bytes: Bytes of samples that a device takes in a step.
        devices: Number of devices.
        cluster: `Cluster`.
        steps: Simulated steps.
        seed: Of the variation.
    """
    rng = np.random.default_rng(seed)
    compute = work / (cluster.teraflops * 1e12)
    # The mean of a lognormal variable is exp(jitter^2 / 2).
    slowest = np.empty(steps)
    for step in range(steps):
        spread = rng.normal(size=devices) * cluster.jitter - cluster.jitter**2 / 2
        slowest[step] = compute * np.exp(spread).max()
    reading = min(devices, HOST) * sample_bytes / (cluster.disk * 1e6)
    travel = all_reduce_seconds(size, devices, cluster)
    # The backward pass is two thirds of a step.
    exposed = np.maximum(travel - cluster.overlap * slowest * 2 / 3, 0.0)
    busy = slowest + exposed
    waiting = np.maximum(reading - busy, 0.0)  # read in advance, while the step before runs
    total = float(np.median(busy + waiting))
    return total, float(np.median(waiting)) / total


def main(argv=None):
    """Print the table, and return its rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--teraflops", type=float, default=60.0, help="a device's (%(default)s)")
    parser.add_argument("--link", type=float, default=200.0, help="GB/s in a host (%(default)s)")
    parser.add_argument("--network", type=float, default=25.0, help="GB/s a host (%(default)s)")
    parser.add_argument("--latency", type=float, default=5e-6, help="seconds (%(default)s)")
    parser.add_argument("--disk", type=float, default=1000.0, help="MB/s a host (%(default)s)")
    parser.add_argument("--jitter", type=float, default=0.03, help="of a step (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try it out")
    parser.add_argument("--json", help="also write the rows here")
    asked = parser.parse_args(argv)
    cluster = Cluster(
        asked.teraflops, asked.link, asked.network, asked.latency, asked.disk, asked.jitter
    )
    counted = {
        name: (operations(call), weights)
        for name, (_, call, weights) in forwards(asked.tiny).items()
    }
    rows = []
    for name, load in WORKLOADS.items():
        if any(part not in counted for part, _ in load.passes):
            continue
        forward = sum(counted[part][0] * count for part, count in load.passes)
        size = 4 * sum(counted[part][1] for part, _ in load.passes)
        work = 3 * load.batch * forward
        alone, _ = simulate(work, size, load.batch * load.sample, 1, cluster)
        for devices in asked.devices:
            seconds, waiting = simulate(work, size, load.batch * load.sample, devices, cluster)
            rows.append(
                {
                    "training": name,
                    "devices": devices,
                    "batch": devices * load.batch,
                    "step_seconds": seconds,
                    "samples_per_second": devices * load.batch / seconds,
                    "efficiency": alone / seconds,
                    "input_mb_per_second_and_host": min(devices, HOST)
                    * load.batch
                    * load.sample
                    / seconds
                    / 1e6,
                    "waiting_for_input": waiting,
                    "gradient_mb": size / 1e6,
                    "all_reduce_seconds": all_reduce_seconds(size, devices, cluster),
                }
            )
    print(table(rows))
    if asked.json:
        Path(asked.json).write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def table(rows):
    """The rows as a Markdown table."""
    lines = [
        "| training | devices | batch | step, ms | samples/s | efficiency | input, MB/s a host "
        "| waiting | gradients, MB | all-reduce, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['training']} | {row['devices']} | {row['batch']} "
            f"| {1000 * row['step_seconds']:.1f} | {row['samples_per_second']:,.0f} "
            f"| {row['efficiency']:.0%} | {row['input_mb_per_second_and_host']:,.0f} "
            f"| {row['waiting_for_input']:.0%} | {row['gradient_mb']:.0f} "
            f"| {1000 * row['all_reduce_seconds']:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
