"""Reads many damaged files with every reader of the library, and tells what is no clear error.

    python -m tests.fuzz                       2,000 inputs, as in CI
    python -m tests.fuzz --inputs 100000       what the figures of SECURITY.md come from
    python -m tests.fuzz --seed 3 --only 1234  one input again, with its traceback

Every reader must return or raise an error that it documents, within 20 seconds and a gigabyte, and
without ending the process.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
_DONE = 2**64 - 1


def run(inputs, seed=0, start=0, report=print):
    """Read inputs `start` to `start + inputs`; return the counts by reader, and the findings."""
    counts, findings, peak, stop = {}, [], 0, start + inputs
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    while start < stop:
        with tempfile.NamedTemporaryFile() as at:
            at.write((_DONE - 1).to_bytes(8, "little"))
            at.flush()
            # Short runs: what a crash takes with it are the counts of one of them.
            last = min(stop, start + 20_000)
            arguments = [str(seed), str(start), str(last), "1", at.name]
            done = subprocess.run(
                [sys.executable, "-m", "tests.fuzz.worker", *arguments],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            number = int.from_bytes(pathlib.Path(at.name).read_bytes(), "little")
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for line in lines:
            if "counts" in line:
                peak = max(peak, line["peak"])
                for name, count in line["counts"].items():
                    total = counts.setdefault(name, {})
                    for key, value in count.items():
                        old = total.get(key, 0)
                        total[key] = max(old, value) if key == "longest" else old + value
            else:
                findings.append(line)
                report(f"{line['reader']} {line['file']}, input {line['number']}: {line['found']}")
        if number == _DONE:
            start = last
            continue
        if number == _DONE - 1:
            raise RuntimeError(f"the readers could not be started: {done.stderr[-3000:]}")
        crash = {"number": number, "found": f"the process ended: {done.returncode}"}
        findings.append(crash | {"reader": "", "file": "", "what": done.stderr[-1500:]})
        report(f"input {number}: the process ended with {done.returncode}")
        start = number + 1
    return counts, findings, peak


def main(argv=None):
    """Fuzz as the command line says; return 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--inputs", type=int, default=2000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the changes (%(default)s)")
    parser.add_argument("--only", type=int, help="number of one input to read again")
    arguments = parser.parse_args(argv)
    begun = time.perf_counter()
    start, inputs = (0, arguments.inputs) if arguments.only is None else (arguments.only, 1)
    counts, findings, peak = run(inputs, arguments.seed, start)
    print(f"{'reader':<15}{'inputs':>9}{'read':>9}{'refused':>9}{'longest':>10}")
    for name, count in sorted(counts.items()):
        number = sum(value for key, value in count.items() if key != "longest")
        row = f"{name:<15}{number:>9}{count['read']:>9}{count['refused']:>9}"
        print(f"{row}{count['longest']:>8.2f} s")
    for finding in findings[:20]:
        print(
            f"\ninput {finding['number']} ({finding['reader']} {finding['file']}): "
            f"{finding['found']}\n{finding['what']}"
        )
    seconds = time.perf_counter() - begun
    summary = f"{inputs} inputs, {len(findings)} findings, {seconds:.0f} s"
    print(f"{summary}, {peak / 2**20:.0f} MiB at most")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
