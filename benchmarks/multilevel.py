"""Compares single, multiscale and full-multiscale training at equal work.

    python training/generation/data.py cifar10 packages/          downloads images for --cifar
    python training/collect/photographs.py photos/ --lossless      downloads those for --folder
    python benchmarks/multilevel.py --cifar packages/ --folder photos/ --out multilevel
    python benchmarks/multilevel.py --out multilevel --report     only the tables and the plots
    python benchmarks/multilevel.py --out multilevel --memory     peak memory of one step
    python benchmarks/multilevel.py --tiny                        a test on noise, in a minute

For each task of `training/restoration/multiscale.py` these arms train the same network from the
same weights:

- single: ordinary training on the image as given, in batches of 16;
- multiscale: MGE with 4 samples of the finest correction, twice as many of each coarser term;
- measured: MGE with the batch sizes of least variance for the work of a single step, measured at
  the weights of the shortest single run of the first seed (not counted as work);
- fullmultiscale: from the coarsest mesh to the finest, with the proportions of steps of the paper.

Each arm is run with the work W of `--steps` single steps, with W / 4 and with W / 16, each run
with a cosine learning rate of its own length, to see whether an arm matches the single arm's
result at 4 to 16 times less work. Superresolution always uses the residual network, with
1 - SSIM as its loss.

Each run is a process on one core, `--parallel` at a time (0 for an accelerator: one at a time, not
bound to a core), timed including compilation and excluding evaluation. PyTorch is the default
because it compiles nothing: with the others every stage's first step takes about a minute on a
CPU, which the report lists separately, and full-multiscale has four stages.
Loss, PSNR and SSIM are measured `--evaluations` times on held-out images with one fixed
degradation. Finished runs are not repeated; interrupted ones continue from their last evaluation.
Results are JSON files in `--out`, the report is `multilevel.md` and pictures there.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from multilevel_report import report
from multilevel_results import ARMS, TASKS, Job, read

# Settings that a result depends on, besides the data.
SETTINGS = (
    "tasks steps batch fine_batch levels size patch network dropout learning_rate backend "
    "evaluations validation variance_batches cifar folder tiny shares"
).split()
# Settings whose values may be added to later.
MAY_GROW = ("tasks", "shares", "cifar", "folder")
TINY = {
    "steps": 8,
    "batch": 4,
    "fine_batch": 2,
    "levels": 1,
    "size": 16,
    "patch": 16,
    "evaluations": 4,
    "validation": 8,
    "variance_batches": 3,
    "shares": [1, 4],
    "seeds": [0, 1],
    "tasks": ["denoising"],
    "memory_size": 16,
    "memory_batch": 4,
}


def parse(argv=None):
    """Parse the options; `--tiny` replaces those that were not given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--cifar",
        metavar="PATH",
        help="archive of generation/data.py's cifar10, or its folder",
    )
    add("--folder", metavar="PATH", help="folder or zip archive of photographs, for patches")
    add("--out", default="multilevel", help="folder of results (default multilevel)")
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    add("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add(
        "--shares",
        type=int,
        nargs="+",
        default=[1, 4, 16],
        help="divisors of the full work (1 4 16)",
    )
    add("--steps", type=int, default=1000, help="steps of the full single run (default 1000)")
    add("--batch", type=int, default=16, help="batch size of the single arm (default 16)")
    add("--fine-batch", type=int, default=4, help="of multiscale's finest correction (default 4)")
    add("--levels", type=int, default=3, help="number of coarser meshes (default 3)")
    add("--size", type=int, default=32, help="side of images of --cifar (default 32)")
    add("--patch", type=int, default=64, help="side of patches of --folder (default 64)")
    add("--network", choices=("unet", "resnet"), default="unet")
    add("--dropout", type=float, default=0.5, help="dropout of the U-Net (default 0.5)")
    add("--learning-rate", type=float, default=5e-4, help="for Adam (default 5e-4)")
    add("--backend", choices=("torch", "tensorflow", "jax"), default="torch")
    add("--evaluations", type=int, default=12, help="evaluations per run (default 12)")
    add("--validation", type=int, default=512, help="held-out images (default 512)")
    add(
        "--variance-batches",
        type=int,
        default=64,
        help="batches to measure variances on (default 64)",
    )
    add("--parallel", type=int, help="runs at a time (default one per core; 0: one, not bound)")
    add(
        "--clock", choices=("seconds", "cpu_seconds"), default="seconds", help="clock of the report"
    )
    add("--report", action="store_true", help="only report the existing results")
    add("--memory", action="store_true", help="only measure the peak memory of a step, then report")
    add("--memory-size", type=int, default=128, help="image side for --memory (default 128)")
    add("--memory-batch", type=int, default=16, help="its samples of the finest term (default 16)")
    add("--tiny", action="store_true", help="run a short version of everything in a minute")
    add("--inside", help=argparse.SUPPRESS)
    add("--core", type=int, help=argparse.SUPPRESS)
    if "--tiny" in (sys.argv[1:] if argv is None else argv):
        parser.set_defaults(**TINY, out="multilevel_tiny")
    options = parser.parse_args(argv)
    if not {"single"} <= set(options.arms):
        parser.error(f"--arms has single, what all are compared to. Received: {options.arms}")
    if 1 not in options.shares or min(options.shares) < 1:
        parser.error(f"--shares has 1 and is of whole numbers. Received: {options.shares}")
    return options


def datasets(options):
    """Return the labels of the given data sets; `--tiny` uses noise for patches."""
    found = [
        label for label, path in (("cifar10", options.cifar), ("patches", options.folder)) if path
    ]
    return found or (["patches"] if options.tiny else [])


def jobs_of(options):
    """List all jobs, one seed after the other, so that unfinished results are comparable."""
    jobs = []
    shares = sorted(options.shares, reverse=True)  # the short runs first
    for seed in options.seeds:
        for dataset in datasets(options):
            for task in options.tasks:
                if seed == options.seeds[0]:
                    times = ("first", shares[0], 1)
                    jobs += [Job(dataset, task, "variance", str(t), seed) for t in times]
                jobs += [
                    Job(dataset, task, arm, str(share), seed)
                    for share in shares
                    for arm in options.arms
                ]
    return list(dict.fromkeys(jobs))


def needed_by(job, options):
    """Return the job whose result this one needs, or None."""
    first = options.seeds[0]
    if job.arm == "variance" and job.share != "first":
        return job._replace(arm="single")
    if job.arm == "measured":
        return job._replace(arm="variance", share=str(max(options.shares)), seed=first)
    return None


# Processes


def is_finished(options, job):
    found = read(job.file(options.out))
    return bool(found and found["finished"])


def run_all(options, jobs):
    """Run the unfinished jobs, each in its own process, by default one per core.

    A job that fails does not stop jobs that do not depend on it.
    """
    waiting = [job for job in jobs if not is_finished(options, job)]
    cores = cores_of(options)
    running, failed = {}, []
    try:
        while waiting or running:
            for core in [core for core in cores if core not in running]:
                job = next((job for job in waiting if can_start(options, job)), None)
                if job is not None:
                    waiting.remove(job)
                    running[core] = job, start(options, job, core)
            if not running:
                break  # the remaining jobs need one that failed
            time.sleep(0.2)
            for core, (job, process) in list(running.items()):
                if process.poll() is not None:
                    del running[core]
                    failed += [job.name] if process.returncode else []
                    print(f"{job.name}: {len(waiting)} to start", file=sys.stderr, flush=True)
    finally:
        for _, process in running.values():
            process.terminate()
    if failed:
        raise SystemExit(f"Not all runs were finished. Received: {', '.join(failed)} failed")


def run_here(options, jobs):
    """Run the jobs one after another in this process, for `--tiny`."""
    os.environ["KERAS_BACKEND"] = options.backend
    from multilevel_runs import run

    waiting = [job for job in jobs if not is_finished(options, job)]
    while waiting:
        job = next(job for job in waiting if can_start(options, job))
        waiting.remove(job)
        run(options, job)


def cores_of(options):
    """Return the cores that runs are bound to, or None for each run that is not bound."""
    known = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [None]
    return [None] if options.parallel == 0 else known[: options.parallel]


def can_start(options, job):
    needed = needed_by(job, options)
    return needed is None or is_finished(options, needed)


def start(options, job, core):
    """Start the process of one job."""
    environment = {**os.environ, "KERAS_BACKEND": options.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--inside", job.name]
    if core is not None:
        command += ["--core", str(core)]
        environment |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment)


def remember(options):
    """Write the settings beside the results; refuse to add to results of other settings."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    file, asked = out / "settings.json", {name: getattr(options, name) for name in SETTINGS}
    found = read(file) or asked
    for name in asked:
        if found[name] != asked[name] and name not in MAY_GROW:
            raise SystemExit(
                f"{out} holds results with {name} {found[name]}: give another --out. "
                f"Received: {asked[name]}"
            )
    if max(found["shares"]) != max(asked["shares"]):
        raise SystemExit(
            f"{out} has batches measured after the run of share {max(found['shares'])}: give "
            f"another --out. Received: --shares {asked['shares']}"
        )
    file.write_text(json.dumps(asked, indent=1) + "\n")


def main():
    options = parse()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})  # before a framework counts the cores
    if options.inside:
        from multilevel_runs import run

        return run(options, Job.of(options.inside))
    if options.memory:
        from multilevel_memory import measure_memory

        measure_memory(options)
    elif not options.report:
        if not datasets(options):
            raise SystemExit("Give --cifar, --folder or both. Received: neither")
        remember(options)
        (run_here if options.tiny else run_all)(options, jobs_of(options))
    return report(options.out, options.clock)


if __name__ == "__main__":
    main()
