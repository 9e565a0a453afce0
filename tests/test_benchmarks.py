"""The benchmarks run: small rehearsals of those that nothing else calls."""

import importlib
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from c2f_zoo.data import save_image

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Import a file of benchmarks/, which finds those beside it as a script does."""
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.parametrize("kind", ["SINGLE", "ACCUMULATED", "ONE_LOSS"])
def test_memory_of_a_multilevel_step(script, kind):
    module = script("multilevel_memory")
    sizes = [2] if kind == "SINGLE" else [2, 4]
    asked = {"kind": getattr(module, kind), "batch_sizes": sizes, "size": 16, "tiny": True}
    found = module.one_step(asked)
    assert found["work"] == (2.0 if kind == "SINGLE" else 2 * 1.25 + 4 / 4)
    assert found["memory"] >= 0


@pytest.mark.parametrize("case", ["unet-step", "inpaint-24", "upscale-24"])
def test_restoration(script, case):
    module = script("restoration")
    found = module.measure_case(case, "float32", 1, True)
    assert found["seconds"] > 0 and found["convolutions"] > 0
    assert "photograph" in module.heading(True)


@pytest.mark.parametrize("case", ["cascade-step", "lite-image", "lite-large"])
def test_stereo(script, case):
    module = script("stereo")
    found = module.measure_case(case, "float32", 1, True)
    assert found["seconds"] > 0 and found["convolutions"] > 0
    assert "32 disparities" in module.heading(True)


@pytest.mark.parametrize("case", ["pwcnet", "raft-small", "psmnet-basic", "psmnet-lite"])
def test_dense_prediction(script, case):
    module = script("dense_prediction")
    if case in module.PUBLISHED:
        pytest.importorskip("torch")
    found = module.measure_case(case, 1, True)
    assert min(found.values()) >= 0 and ("PyTorch" in found) == (case in module.PUBLISHED)
    assert ("an iteration" in found) == case.startswith("raft")
    row = module.table([{"backend": "jax", "case": case, **found}]).splitlines()[-1]
    assert row.startswith(f"| jax | {case} | ")


def test_short_training_of_stereo_heads(script, capsys, tmp_path):
    figures = tmp_path / "heads.json"
    asked = ["--tiny", "--heads", "lite", "--json", str(figures)]
    found = script("stereo_heads").main(asked)
    assert json.loads(figures.read_text()) == found
    assert found["lite"]["parameters"] == 835_276 and found["lite"]["epe"] > 0
    assert "| lite | 835,276 |" in capsys.readouterr().out


def test_report_of_an_unfinished_comparison(script, tmp_path):
    report, results = script("multilevel_report"), script("multilevel_results")

    def record(arm, share, seed, psnr):
        points = [(0, 0.0, 9.0, 1.0), (4, 64.0 / share, psnr, 10 ** (-psnr / 10))]
        return {
            **{"finished": True, "dataset": "patches", "task": "denoising", "arm": arm},
            **{"share": str(share), "seed": seed, "first_weights": 1.0, "work": 64.0 / share},
            **{"batch_sizes": [[16]], "stage_steps": [4], "images": [2, 1], "peak_mb": 1.0},
            **{"first_steps": {"0": 0.1}, "resumed": 0},
            "evaluations": [
                {"step": n, "work": w, "seconds": w, "cpu_seconds": w, "psnr": p, "loss": loss}
                | {"ssim": 0.5}
                for n, w, p, loss in points
            ],
        }

    found = [("single", 1, 0, 20.0), ("single", 1, 1, 30.0), ("multiscale", 1, 0, 20.5)]
    for arm, share, seed, psnr in found:
        job = results.Job("patches", "denoising", arm, str(share), seed)
        job.file(tmp_path).write_text(json.dumps(record(arm, share, seed, psnr)))
    runs, _ = results.read_results(tmp_path)
    text = "\n".join(report.summary(runs, "seconds"))
    # Seed by seed, not the means of other seeds; what has not run is not said to have failed.
    assert "| denoising | patches | 2 | 25.00 | +0.50 (1 of 2) | ? | ? |" in text
    assert "| denoising | patches | 2 | 1.0, 1.0 | ? | ? |" in text


@pytest.mark.parametrize("order", ["forward", "second order"])
def test_forms_of_the_filter_have_equal_values(script, order):
    module = script("fir")
    forms = module.FORMS[keras.backend.backend()]
    found = module.measure((1, 8, 6, 2), 2, order, 1, forms)
    assert "library" in found and min(found.values()) > 0


def test_depth_supervision(script, tmp_path, capsys):
    module = script("depth_supervision")
    arms = ["--arms", "multi", "single"]
    results = module.main(["--tiny", *arms, "--json", str(tmp_path / "a.json")])
    assert json.loads((tmp_path / "a.json").read_text()) == results
    multi, single = (result["gradients"][0] for result in results)
    # Only the finest head answers without the others; all of the rest learns.
    silent = {part for part, norm in single.items() if norm == 0}
    assert silent == {f"head_{level}" for level in range(1, 5)} and min(multi.values()) > 0
    # The same weights and data at first.
    assert results[0]["errors"][0] == results[1]["errors"][0]
    assert "| single | 2 |" in capsys.readouterr().out


def test_time_of_depth_networks(script, capsys, monkeypatch):
    module = script("depth")
    monkeypatch.setattr(module, "POLICIES", ("float32",))
    rows = module.main(["--tiny", "--rounds", "1"])
    assert [row["parameters"] for row in rows] == [4_442_357, 1_872_893]
    assert min(row[kind] for row in rows for kind in ("training", "estimate")) > 0
    assert "| lite | 1,872,893 | float32 |" in capsys.readouterr().out


def test_growing_and_full_resolution(script, capsys, tmp_path):
    figures = tmp_path / "resolution.json"
    asked = ["--tiny", "--arms", "full", "linear", "layerwise", "--seeds", "1"]
    found = script("resolution").main([*asked, "--json", str(figures)])
    assert json.loads(figures.read_text()) == found
    arms = [result["arm"] for result in found]
    assert arms == ["full", "linear", "layerwise", "full (time of linear)"]
    assert found[0]["images"] == found[1]["images"] == 48
    assert found[0]["pixels"] == 1 and found[1]["pixels"] < 0.7
    assert "| linear | 48 | 0.6" in capsys.readouterr().out


@pytest.mark.parametrize("case, way", [("raft-small", "computed again"), ("depth-unet", "4 parts")])
def test_memory_of_a_step(script, case, way):
    module = script("memory")
    assert way in module.CASES[case]
    found = module.measure_case(case, way, 1, True)
    assert found["seconds"] > 0 and found["memory"] >= 0
    about = {"backend": "jax", "case": case}
    whole = {**about, "way": module.WHOLE, "seconds": 2.0, "memory": 4.0}
    lines = module.table([whole, {**about, "way": way, "seconds": 3.0, "memory": 1.0}]).splitlines()
    assert lines[-1] == f"| jax | {case} | {way} | 1 | 0.25 | 3.00 | 1.50 |"


def test_precision_of_presets(script, monkeypatch, capsys):
    module = script("precision")
    monkeypatch.setattr(module, "DTYPES", ("mixed_bfloat16",))
    module.main(["progan_32.cifar10"])
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[:2] == ["progan_32.cifar10", "mixed_bfloat16"] and 0 < float(row[2]) < 10


@pytest.mark.parametrize(
    "case", ["FlyingChairs files, augmented", "RGB-D files", "noise of photographs"]
)
def test_what_sources_serve(script, case):
    module = script("input")
    found = module.measure_case(case, 1, True)
    assert list(found["images"]) == ["0", "1", "2", "4"] and min(found["images"].values()) > 0
    assert found["step"] > 0 and 0 <= found["waiting"] < 1
    row = module.table([{"case": case, **found}]).splitlines()[-1]
    assert row.startswith(f"| {case} |") and row.count("|") == 8


def test_interpolation(script):
    pytest.importorskip("cv2")
    module = script("interpolation")
    triplets = list(module.scene_triplets(1, size=(32, 48)))
    (before, middle, after) = triplets[0]
    assert before.shape == middle.shape == after.shape == (32, 48, 3)
    figures, count = module.measure(triplets, module.methods([], with_syntheses=True))
    assert count == 1 and len(figures) == 4
    assert all(psnr > 5 and -1 <= ssim <= 1 for psnr, ssim in figures.values())
    assert module.table([("scenes", figures, count)]).count("**") == 2


def test_interpolation_leaves_every_second_frame_of_a_clip_out(script, tmp_path):
    for number in range(6):
        save_image(tmp_path / f"{number}.png", np.full((8, 8, 3), number / 255))
    triplets = script("interpolation").clip_triplets(tmp_path, None)
    levels = [[round(255 * frame[0, 0, 0]) for frame in triplet] for triplet in triplets]
    assert levels == [[0, 1, 2], [2, 3, 4]]


def test_steady(script, rng):
    module = script("steady")

    class Untouched:
        def restore(self, image, progress=None):
            return np.asarray(image, np.float32)

    def still(image1, image2):
        return np.zeros((*image1.shape[:2], 2), np.float32)

    clean = [np.full((16, 16, 3), 0.5, np.float32)] * 8
    noisy = [frame + 0.02 * rng.standard_normal(frame.shape, np.float32) for frame in clean]
    rows = module.compare(clean, noisy, Untouched(), still, still, [0.0, 0.8])
    assert [name for name, _, _ in rows] == ["clean", "noisy", "frame by frame", "strength 0.8"]
    assert rows[0][1:] == (None, 0.0) and rows[1][1:] == rows[2][1:]
    assert rows[2][2] == pytest.approx(255 * 0.02 * 2**0.5, rel=0.1)
    assert rows[3][2] < 0.6 * rows[2][2] and rows[3][1] > rows[2][1] + 2
