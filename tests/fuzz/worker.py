"""Reads changed inputs one after the other, and reports what is no clear error.

A process of its own, so that its end, its memory and its time can be watched. It writes the number
of the input it is at into a file first, and a line of JSON for every finding to standard output.
"""

import json
import pathlib
import resource
import signal
import sys
import tempfile
import time
import traceback

import numpy as np

SECONDS = 20  # for one input
MEMORY = 1 << 30  # bytes beyond what the process has with its libraries loaded


class _TooLong(BaseException):
    pass


def _stop(*_arguments):
    raise _TooLong


def make_input(readers, seed, number):
    """The reader, the name and the content of one input; the same for the same numbers."""
    rng = np.random.default_rng([seed, number])
    shares = np.array([reader.share for reader in readers])
    reader = readers[int(rng.choice(len(readers), p=shares / shares.sum()))]
    name, data = reader.seeds[int(rng.integers(len(reader.seeds)))]
    return reader, name, reader.mutate(data, rng)


def read(reader, name, data, home):
    """Read one input; return "read", "refused", or what was found."""
    path = home / name
    path.write_bytes(data)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        reader.read(path)
        return "read", ""
    except reader.errors as error:
        text = str(error)
        return ("refused", "") if text.strip() else ("an error without words", type(error).__name__)
    except _TooLong:
        return "too long", traceback.format_exc()[-1500:]
    except BaseException:
        return "another error", traceback.format_exc()[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        path.unlink(missing_ok=True)


def main(seed, start, stop, step, at):
    """Read inputs `start`, `start + step`, ... below `stop`; `at` is the file of the number."""
    from tests.fuzz.readers import make_readers, quiet

    quiet()
    signal.signal(signal.SIGALRM, _stop)
    counts = {}
    with tempfile.TemporaryDirectory() as folder, open(at, "r+b") as place:
        home = pathlib.Path(folder)
        (home / "inputs").mkdir()
        readers = make_readers(home)
        for reader in readers:  # the good files are read, whatever is loaded for that
            for name, data in reader.seeds:
                found, what = read(reader, name, data, home / "inputs")
                assert found == "read", (reader.name, name, what)
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for number in range(start, stop, step):
            place.seek(0)
            place.write(number.to_bytes(8, "little"))
            place.flush()
            begun = time.perf_counter()
            reader, name, data = make_input(readers, seed, number)
            found, what = read(reader, name, data, home / "inputs")
            count = counts.setdefault(reader.name, {"read": 0, "refused": 0, "longest": 0.0})
            count[found] = count.get(found, 0) + 1
            count["longest"] = max(count["longest"], time.perf_counter() - begun)
            if found not in ("read", "refused"):
                report = {"number": number, "reader": reader.name, "file": name, "found": found}
                print(json.dumps(report | {"what": what}), flush=True)
        place.seek(0)
        place.write((2**64 - 1).to_bytes(8, "little"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"counts": counts, "peak": peak}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]), sys.argv[5])
