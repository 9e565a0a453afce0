"""Measures the time of importing c2f_zoo in addition to importing Keras.

    KERAS_BACKEND=tensorflow python benchmarks/import_time.py

Each figure is the median over new interpreters that import Keras first. The target is 0.5 s.
"""

import argparse
import os
import statistics
import subprocess
import sys

STATEMENTS = {
    "import c2f_zoo": "import c2f_zoo",
    "from c2f_zoo import PWCNet": "from c2f_zoo import PWCNet",
    "every public name": "import c2f_zoo\nfor name in dir(c2f_zoo): getattr(c2f_zoo, name)",
}

PROBE = """
import time
start = time.perf_counter()
import keras
middle = time.perf_counter()
{statement}
end = time.perf_counter()
print(middle - start, end - middle)
"""


def measure(statement, repetitions):
    """Return the median seconds of `import keras`, and of `statement` after it."""
    readings = []
    for _ in range(repetitions):
        probe = PROBE.format(statement=statement)
        output = subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, text=True, check=True
        ).stdout
        readings.append([float(word) for word in output.split()])
    return [statistics.median(column) for column in zip(*readings, strict=True)]


def main():
    """Print one line per statement."""
    parser = argparse.ArgumentParser(description="Import time of c2f_zoo beyond Keras.")
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    print(f"backend {os.environ.get('KERAS_BACKEND', 'tensorflow')}, median of {repetitions}")
    for name, statement in STATEMENTS.items():
        keras_seconds, seconds = measure(statement, repetitions)
        print(f"{name:28s} {seconds:6.3f} s beyond import keras ({keras_seconds:.2f} s)")


if __name__ == "__main__":
    main()
