"""Makes the tables and plots of `multilevel.py` from the results in its folder."""

import math
import statistics
from pathlib import Path

# The files beside this one.
from growth_report import spread
from multilevel_results import (
    ARMS,
    at_clock,
    final,
    first_reach,
    read,
    read_results,
    runs_of_arm,
    times_less,
)

FIGURES = {"loss": (1000, 3), "psnr": (1, 2), "ssim": (1, 4)}  # factor and digits in tables
HEADS = {"loss": "loss x 1000", "psnr": "PSNR, dB", "ssim": "SSIM"}


def report(out, clock="seconds"):
    """Write and print the tables, and draw the plots."""
    runs, variances = read_results(out)
    memory, settings = read(Path(out) / "memory.json"), read(Path(out) / "settings.json")
    if not runs and not memory:
        raise SystemExit(f"No finished runs in {out}")
    lines = heading(settings, clock) + ["", *summary(runs, clock)] if runs else []
    for group, found in runs.items():
        dataset, task = group
        lines += ["", f"## {task.capitalize()}, {dataset}", ""]
        if not any(arm == "single" and share == 1 for arm, share in found):
            lines += ["The full single run is not there yet."]
            continue
        lines += work_table(found, clock)
        lines += ["", *clock_table(found, clock)]
        lines += ["", *reach_table(found, clock)]
        if group in variances:
            lines += ["", *variance_table(variances[group])]
        picture = Path(out) / f"{dataset}_{task}.png"
        plot(found, f"{task}, {dataset}", picture, clock)
        lines += ["", f"![Validation over work and time]({picture.name})"]
    if memory:
        lines += ["", *memory_table(memory)]
    text = "\n".join(lines) + "\n"
    (Path(out) / "multilevel.md").write_text(text)
    print(text)


def heading(settings, clock):
    network = settings["network"]
    if network == "unet":
        network += f", dropout {settings['dropout']}"
    named = "CPU seconds" if clock == "cpu_seconds" else "wall-clock seconds"
    return [
        f"Full work W: {settings['steps']} x {settings['batch']} work units. Network: {network}"
        f"{' (a small one, for a rehearsal)' if settings['tiny'] else ''}, or for superresolution "
        f"the residual network that doubles the size. {settings['levels']} corrections, Adam "
        f"{settings['learning_rate']:g} decaying to the end of every run, {settings['backend']}; "
        f"{settings['validation']} held-out images. Mean (range) over the seeds. The clock is "
        f"{named} of training, including compilation and excluding evaluation. The loss is the "
        "mean squared error, and 1 - SSIM for superresolution.",
    ]


def summary(runs, clock):
    """Make two tables of all tasks: PSNR at equal work, and work until an equal loss."""
    parts = sorted({share for found in runs.values() for _, share in found})
    works = ", ".join(f"W / {share}" if share > 1 else "W" for share in parts)
    head = ["| task | images | seeds |", "|---|---|---:|"]
    lines = [
        f"PSNR in dB after work {works}: the value of the single arm, and the difference of the "
        "other arms to it; means over the seeds (?: not run).",
        "",
        head[0] + "".join(f" {arm} |" for arm in ARMS),
        head[1] + "---|" * len(ARMS),
    ]
    reached = [
        "",
        f"Reduction factors of work and of {clock.replace('_', ' ')} to reach the final loss of "
        "the full single run with the same seed (-: reached by no seed, ?: not run).",
        "",
        head[0] + "".join(f" {arm} |" for arm in ARMS[1:]),
        head[1] + "---|" * len(ARMS[1:]),
    ]
    for (dataset, task), found in runs.items():
        alone = found.get(("single", 1))
        if not alone:
            continue
        start = f"| {task} | {dataset} | {len(alone)} |"
        cells = [psnr_cell(found, arm, parts) for arm in ARMS]
        lines.append(f"{start} {' | '.join(cells)} |")
        reached.append(f"{start} {' | '.join(reach_cell(found, arm, clock) for arm in ARMS[1:])} |")
    return lines + reached


def psnr_cell(found, arm, shares):
    """PSNR of the single arm, or another arm's difference to it over the seeds of both."""
    cells = []
    for share in shares:
        single, runs = found.get(("single", share), {}), found.get((arm, share), {})
        both = [seed for seed in single if seed in runs]
        of = f" ({len(both)} of {len(single)})" if 0 < len(both) < len(single) else ""
        if not both:
            cells.append("?")
        elif arm == "single":
            cells.append(f"{statistics.mean(final(single[seed])['psnr'] for seed in both):.2f}")
        else:
            more = [final(runs[seed])["psnr"] - final(single[seed])["psnr"] for seed in both]
            cells.append(f"{statistics.mean(more):+.2f}{of}")
    return ", ".join(cells)


def reach_cell(found, arm, clock):
    """Mean reduction factors of work and time, and the number of seeds."""
    less, tried = times_less(found, arm, clock)
    count = len(less["work"])
    if not count:
        return "-" if tried else "?"
    of = "" if count == tried else f" ({count} of {tried})"
    return f"{statistics.mean(less['work']):.1f}, {statistics.mean(less[clock]):.1f}{of}"


def figures(name, values):
    """Format mean and range of one figure, in the units of the table."""
    factor, digits = FIGURES[name]
    return spread([factor * value for value in values], digits)


def in_order(found):
    """Yield (arm, share) and its runs, the largest work first, arms in their order."""
    return sorted(found.items(), key=lambda item: (item[0][1], ARMS.index(item[0][0])))


def work_table(found, clock):
    """Results of every arm at equal work."""
    lines = [
        "At equal work, at the end of each run:",
        "",
        "| work | arm | seeds | samples of a step | steps | work units | seconds | of them first "
        f"steps | {' | '.join(HEADS.values())} | peak MB |",
        "|---|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (arm, share), records in in_order(found):
        runs = list(records.values())
        sizes = "; ".join(" ".join(map(str, sizes)) for sizes in runs[0]["batch_sizes"])
        cells = [
            "W" if share == 1 else f"W / {share}",
            arm,
            str(len(runs)),
            sizes,
            " ".join(map(str, runs[0]["stage_steps"])),
            f"{statistics.mean(run['work'] for run in runs):.0f}",
            spread([final(run)[clock] for run in runs], 0),
            f"{statistics.mean(sum(run['first_steps'].values()) for run in runs):.0f}",
            *(figures(name, [final(run)[name] for run in runs]) for name in FIGURES),
            f"{max(run['peak_mb'] for run in runs):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    resumed = sum(run["resumed"] > 0 for runs in found.values() for run in runs.values())
    if resumed:
        lines += ["", f"Interrupted and compiled again: {resumed} of the runs."]
    return lines


def clock_table(found, clock):
    """Results of every arm in the time of the single runs."""
    lines = [
        "At equal time, that of the single runs, interpolated over the logarithm of time between "
        "the ends of an arm's runs (~: even the shortest run takes longer; the value is taken "
        "from within that run):",
        "",
        f"| seconds | arm | {' | '.join(HEADS.values())} |",
        "|---:|---|---:|---:|---:|",
    ]
    shares = sorted(share for arm, share in found if arm == "single")
    for share in shares:
        seconds = statistics.mean(final(run)[clock] for run in found["single", share].values())
        for arm in ARMS:
            seeds = sorted(
                {seed for (name, _), runs in found.items() if name == arm for seed in runs}
            )
            if not seeds:
                continue
            cells = []
            for name in FIGURES:
                reached = [
                    at_clock(runs_of_arm(found, arm, seed), clock, seconds, name) for seed in seeds
                ]
                mark = "" if all(is_end for _, is_end in reached) else "~ "
                cells.append(mark + figures(name, [value for value, _ in reached]))
            lines.append(f"| {seconds:.0f} | {arm} | {' | '.join(cells)} |")
    return lines


def reach_table(found, clock):
    """Work and time of each arm until the final loss of the full single run."""
    lines = [
        "Work and time until the first run of an arm reaches the final validation loss of the "
        "full single run with the same seed, interpolated linearly between two evaluations:",
        "",
        "| arm | seeds that reach it | work units | times less | seconds | times less |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for arm in ARMS:
        less, tried = times_less(found, arm, clock)
        if not tried:
            continue
        cells = [arm, f"{len(less['work'])} of {tried}"]
        for axis, values in less.items():
            reached = [
                first_reach(runs_of_arm(found, arm, seed), final(single)["loss"], axis)
                for seed, single in found["single", 1].items()
            ]
            reached = [at for at in reached if at is not None]
            cells += [spread(reached, 0), spread(values, 1)] if reached else ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def variance_table(variances):
    """Variance of every term of the estimator, and its saving of work at equal variance."""
    order = sorted(variances, key=lambda share: -math.inf if share == "first" else -int(share))
    terms = variances[order[0]]["measured"][0]["terms"]
    names = [" - ".join(f"1/{2**mesh}" for mesh in meshes) for meshes in terms]
    lines = [
        "Variance of the gradient of one sample in each term, relative to that of the fine "
        "gradient; the factor by which the estimator with optimal batch sizes reduces the work "
        "for equal variance; and its variance at equal work, relative to ordinary training:",
        "",
        f"| weights | dropout | {' | '.join(names)} | saving | best batches | multiscale "
        "| measured |",
        "|---|---:|" + "---:|" * len(names) + "---:|---|---:|---:|",
    ]
    for share in order:
        where = {"first": "first", "1": "after W"}.get(share, f"after W / {share}")
        for found in variances[share]["measured"]:
            parts = [
                f"{100 * variance / found['single']:.1f} %" if found["single"] else "-"
                for variance in found["variances"]
            ]
            cells = [
                f"{where}, single",
                f"{found['dropout']:g}",
                *parts,
                f"{found['saving']:.2f}",
                " ".join(map(str, found["batch_sizes"])),
                *(f"{found['at_equal_work'][arm]:.2f}" for arm in ("multiscale", "measured")),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def memory_table(memory):
    """Peak memory of each kind of step."""
    lines = [
        "## Memory",
        "",
        f"Peak of resident memory in one training step of the {memory['network']} at "
        f"{memory['size']}x{memory['size']}, above the built network, {memory['backend']}:",
        "",
        "| step | samples of the terms | work units | peak MB |",
        "|---|---|---:|---:|",
    ]
    for row in memory["steps"]:
        sizes = " ".join(map(str, row["batch_sizes"]))
        lines.append(f"| {row['kind']} | {sizes} | {row['work']:g} | {row['memory']:.0f} |")
    return lines


def plot(found, title, path, clock):
    """Plot loss, PSNR and SSIM over work and time, one line per run; shorter runs are paler."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    axes_names = (("work", "work units"), (clock, clock.replace("_", " ")))
    figure, axes = pyplot.subplots(
        len(FIGURES), 2, figsize=(11, 10), sharex="col", sharey="row", layout="constrained"
    )
    for row, name in zip(axes, FIGURES, strict=True):
        for panel, (axis, _) in zip(row, axes_names, strict=True):
            for (arm, share), records in in_order(found):
                for number, run in enumerate(records.values()):
                    points = run["evaluations"][1:]
                    panel.plot(
                        [max(p[axis], 1e-9) for p in points],
                        [p[name] for p in points],
                        color=f"C{ARMS.index(arm)}",
                        alpha=1.0 / (1 + 0.35 * math.log2(share)),
                        marker=".",
                        label=arm if share == 1 and not number else None,
                    )
            panel.set(xscale="log", yscale="log" if name == "loss" else "linear")
            panel.grid(alpha=0.3)
        row[0].set_ylabel(HEADS[name].removesuffix(" x 1000"))
    for panel, (_, label) in zip(axes[-1], axes_names, strict=True):
        panel.set_xlabel(label)
    axes[0][0].legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
