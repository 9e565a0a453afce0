"""`c2f evaluate`: numbers that can be checked by hand, on data the test makes."""

import builtins
import json

import numpy as np
import pytest

from c2f_zoo.cli import common
from c2f_zoo.cli.baselines import make_baseline
from c2f_zoo.cli.main import main
from c2f_zoo.data.files.flow import write_flow
from c2f_zoo.data.files.images import save_image

TRUTH = (3.0, -4.0)  # 5 px everywhere, on the left half of each frame


class OffByOne:
    """Is off by 1 px in u."""

    def flow(self, first, second):
        flow = np.zeros((*first.shape[:2], 2), np.float32)
        flow[...] = (TRUTH[0] + 1, TRUTH[1])
        return flow


@pytest.fixture
def kitti(tmp_path):
    """Three pairs in the layout of KITTI 2015, noise that moves by TRUTH."""
    training = tmp_path / "kitti" / "training"
    (training / "image_2").mkdir(parents=True)
    (training / "flow_occ").mkdir()
    valid = np.zeros((64, 96), np.float32)
    valid[:, :48] = 1
    for number in range(3):
        noise = np.random.default_rng(number).random((16, 24, 3))
        first = np.kron(noise, np.ones((4, 4, 1)))
        save_image(training / "image_2" / f"{number:06d}_10.png", first)
        save_image(training / "image_2" / f"{number:06d}_11.png", np.roll(first, (-4, 3), (0, 1)))
        flow = np.full((64, 96, 2), TRUTH, np.float32)
        write_flow(training / "flow_occ" / f"{number:06d}_10.png", flow, valid)
    return tmp_path / "kitti"


@pytest.fixture(autouse=True)
def off_by_one(monkeypatch):
    monkeypatch.setattr(common, "load_model", lambda preset: OffByOne())


def results(capsys, *arguments):
    assert main(["evaluate", *arguments, "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_holds_every_figure(kitti, capsys):
    answer = results(capsys, "some.preset", "--dataset", "kitti2015", "--root", str(kitti))
    assert answer["backend"] in ("tensorflow", "jax", "torch")
    (row,) = answer["results"]
    assert row["method"] == "some.preset" and row["dataset"] == "kitti2015" and row["pairs"] == 3
    assert row["epe"] == pytest.approx(1, abs=1e-5)
    assert row["epe_0_10"] == pytest.approx(1, abs=1e-5)
    assert row["epe_10_40"] is None and row["epe_40_plus"] is None
    assert row["fl_all"] == 0
    angle = np.degrees(np.arccos((4 * 3 + 16 + 1) / np.sqrt((16 + 16 + 1) * (9 + 16 + 1))))
    assert row["angular_error"] == pytest.approx(angle, abs=1e-3)
    assert row["seconds_per_pair"] > 0


def test_several_methods_are_compared_in_one_table(kitti, capsys):
    command = ["evaluate", "a.preset", "b.preset", "--baseline", "zero", "--quiet"]
    assert main([*command, "--dataset", "kitti2015", "--root", str(kitti)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "method" and "Fl-all %" in lines[0]
    rows = {line.split()[0]: line.split() for line in lines[2:]}
    assert set(rows) == {"zero", "a.preset", "b.preset"}
    assert rows["zero"][1:5] == ["kitti2015", "3", "5.00", "5.00"]
    assert rows["a.preset"][3] == "1.00" and "-" in rows["a.preset"]


def test_several_data_sets_are_measured_in_one_call(kitti, capsys):
    options = ["--dataset", "kitti2015", "--root", str(kitti)] * 2
    rows = results(capsys, "--baseline", "zero", *options)["results"]
    assert [row["epe"] for row in rows] == pytest.approx([5, 5])


def test_a_limit_takes_the_first_pairs_and_says_so(kitti, capsys):
    command = ["evaluate", "--baseline", "zero", "--limit", "2", "--json"]
    assert main([*command, "--dataset", "kitti2015", "--root", str(kitti)]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["results"][0]["pairs"] == 2
    assert "the first 2 of 3 pairs" in captured.err
    assert "2/2" in captured.err  # the progress bar


def test_options_reach_the_data_sets_that_have_them(kitti, capsys):
    (kitti / "training" / "flow_noc").mkdir()
    for number in range(3):
        write_flow(kitti / "training" / "flow_noc" / f"{number:06d}_10.png", np.zeros((64, 96, 2)))
    arguments = ["--baseline", "zero", "--dataset", "kitti2015", "--root", str(kitti)]
    (row,) = results(capsys, *arguments, "--option", "flow=noc", "--split", "train")["results"]
    assert row["epe"] == 0 and row["options"] == {"split": "train", "flow": "noc"}


@pytest.mark.parametrize("name", ["farneback", "dis"])
def test_opencv_s_methods_see_the_motion(kitti, capsys, name):
    pytest.importorskip("cv2", reason="needs the extra `opencv`")
    rows = results(capsys, "--baseline", name, "--dataset", "kitti2015", "--root", str(kitti))[
        "results"
    ]
    assert rows[0]["epe"] < 2.5  # 5 without any method


def test_a_baseline_gives_float32_flow_in_pixels():
    frame = np.zeros((32, 48, 3), np.float32)
    flow = make_baseline("zero")(frame, frame)
    assert flow.shape == (32, 48, 2) and flow.dtype == np.float32


def error_of(capsys, arguments, status):
    assert main(["evaluate", *arguments]) == status
    line = capsys.readouterr().err
    assert line.startswith("c2f: error: ") and line.count("\n") == 1
    return line


class TestErrors:
    def test_nothing_to_evaluate(self, kitti, capsys):
        arguments = ["--dataset", "kitti2015", "--root", str(kitti)]
        assert "Received: neither" in error_of(capsys, arguments, 2)

    def test_a_data_set_without_its_folder(self, kitti, capsys):
        arguments = ["p", "--dataset", "kitti2015", "--dataset", "sintel", "--root", str(kitti)]
        assert "Received: 2 and 1" in error_of(capsys, arguments, 2)

    def test_an_unknown_data_set_lists_those_there_are(self, kitti, capsys):
        line = error_of(capsys, ["p", "--dataset", "kitty", "--root", str(kitti)], 1)
        assert "kitti2015" in line and "'kitty'" in line

    def test_a_folder_of_something_else(self, tmp_path, capsys):
        line = error_of(capsys, ["p", "--dataset", "sintel", "--root", str(tmp_path)], 1)
        assert "not the layout of Sintel" in line

    def test_an_option_the_data_set_does_not_have(self, kitti, capsys):
        arguments = ["p", "--dataset", "kitti2015", "--root", str(kitti), "--pass", "final"]
        line = error_of(capsys, arguments, 2)
        assert "kitti2015: flow, split" in line and "Received: pass_name" in line

    def test_an_option_without_a_value(self, kitti, capsys):
        arguments = ["p", "--dataset", "kitti2015", "--root", str(kitti), "--option", "flow"]
        assert "NAME=VALUE. Received: flow" in error_of(capsys, arguments, 2)

    def test_a_split_without_ground_truth(self, kitti, capsys):
        (kitti / "training").rename(kitti / "testing")
        arguments = ["p", "--dataset", "kitti2015", "--root", str(kitti), "--split", "test"]
        assert "withholds" in error_of(capsys, arguments, 1)

    def test_a_missing_opencv_names_the_extra(self, kitti, capsys, monkeypatch):
        real = builtins.__import__

        def without_opencv(name, *args, **kwargs):
            if name == "cv2":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without_opencv)
        arguments = ["--baseline", "dis", "--dataset", "kitti2015", "--root", str(kitti)]
        assert 'pip install "c2f_zoo[opencv]"' in error_of(capsys, arguments, 1)

    def test_a_limit_of_none(self, kitti, capsys):
        arguments = ["p", "--dataset", "kitti2015", "--root", str(kitti), "--limit", "0"]
        assert main(["evaluate", *arguments]) == 2


def test_real_samples_give_the_known_error_of_opencv_s_dis(shared_data, capsys):
    pytest.importorskip("cv2", reason="needs the extra `opencv`")
    flow = shared_data / "flow"
    chairs = ["--dataset", "flying_chairs", "--root", str(flow / "FlyingChairs_release")]
    sintel = ["--dataset", "sintel", "--root", str(flow / "sintel")]
    rows = results(capsys, "--baseline", "dis", *chairs, *sintel)["results"]
    assert rows[0]["epe"] == pytest.approx(3.70, abs=0.05)
    assert rows[1]["epe"] == pytest.approx(0.34, abs=0.01)
