"""`c2f flow` on two images, with a stand-in for the network: files, messages, exit statuses."""

import importlib.resources

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.cli import flow as flow_command
from c2f_zoo.cli.main import main
from c2f_zoo.data.files.flow import read_flow
from c2f_zoo.data.files.images import load_image
from c2f_zoo.data.files.pfm import read_pfm
from c2f_zoo.data.flow.picture import flow_to_color
from tests.cli.flow_toys import ShiftModel, UncertainModel, error_of


@pytest.fixture
def model(monkeypatch):
    fake = ShiftModel()
    monkeypatch.setattr(flow_command, "load_flow_model", lambda preset: fake)
    return fake


@pytest.fixture
def frames(tmp_path):
    """A folder `in` with a.png, b.png: noise, and the same moved by (2, -1)."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(noise).save(folder / "a.png")
    Image.fromarray(np.roll(noise, (-1, 2), (0, 1))).save(folder / "b.png")
    return folder


def pair(frames):
    return [str(frames / "a.png"), str(frames / "b.png")]


class TestTwoFrames:
    def test_they_give_flow_picture_and_rebuilt_frame(self, model, frames, tmp_path, capsys):
        out = tmp_path / "new" / "out"
        assert main(["flow", *pair(frames), "-o", str(out)]) == 0
        assert sorted(path.name for path in out.iterdir()) == [
            "a.flo",
            "a_flow.png",
            "a_warped.png",
        ]
        flow, valid = read_flow(out / "a.flo")
        assert (flow == (2.0, -1.0)).all() and valid.all()
        picture = load_image(out / "a_flow.png")
        assert picture.shape == (64, 60 + 64, 3)
        np.testing.assert_allclose(picture[:40, :60], flow_to_color(flow), atol=1 / 255)
        # The second frame, warped back, is the first one wherever it was inside.
        rebuilt, first = load_image(out / "a_warped.png"), load_image(frames / "a.png")
        np.testing.assert_allclose(rebuilt[1:, :-2], first[1:, :-2], atol=1.5 / 255)
        assert (rebuilt[:, -2:] == 0).all()

    def test_confidence_and_occlusion_are_written_where_they_are_asked_for(
        self, model, frames, tmp_path, capsys
    ):
        out = tmp_path / "out"
        assert main(["flow", *pair(frames), "-o", str(out), "--confidence"]) == 0
        assert sorted(path.name for path in out.iterdir()) == [
            *("a.flo", "a_confidence.png", "a_flow.png", "a_occlusion.png", "a_warped.png"),
        ]
        confidence, occlusion = (
            load_image(out / f"a_{what}.png") for what in ("confidence", "occlusion")
        )
        assert confidence[1:, :-2].min() == 1 and confidence[0].max() == 0
        np.testing.assert_array_equal(occlusion, 1 - confidence)
        printed = capsys.readouterr().out
        assert f"confirmed: {39 * 58 / (40 * 60):.1%}" in printed and "a_occlusion.png" in printed

    def test_expected_errors_are_written_where_they_are_asked_for(
        self, monkeypatch, frames, tmp_path, capsys
    ):
        monkeypatch.setattr(flow_command, "load_flow_model", lambda preset: UncertainModel())
        out = tmp_path / "out"
        assert main(["flow", *pair(frames), "-o", str(out), "--uncertainty"]) == 0
        expected = read_pfm(out / "a_uncertainty.pfm")
        assert (expected[0] == 4).all() and (expected[1:] == 1).all()
        picture = load_image(out / "a_uncertainty.png")
        np.testing.assert_allclose(picture[..., 0], 1 / expected, atol=1 / 255)
        assert "expected error: mean 1.08 px" in capsys.readouterr().out

    def test_expected_errors_need_a_network_that_tells_them(self, model, frames, tmp_path, capsys):
        command = ["flow", *pair(frames), "-o", str(tmp_path / "out"), "--uncertainty"]
        line = error_of(capsys, command, status=2)
        assert line.endswith("such as RAFT lite. Received: a ShiftModel without")
        line = error_of(capsys, [*command, "--confidence"], status=2)
        assert line.endswith("--confidence or --uncertainty. Received: both")
        assert not (tmp_path / "out").exists()

    def test_a_kitti_file_marks_what_it_cannot_hold_as_unknown(
        self, model, frames, tmp_path, monkeypatch, capsys
    ):
        far = model.flow(load_image(frames / "a.png"), load_image(frames / "b.png"))
        far[0, :3, 0] = 600.0
        monkeypatch.setattr(model, "flow", lambda *images: far)
        command = ["flow", *pair(frames), "-o", str(tmp_path / "out"), "--format", "kitti"]
        assert main(command) == 0
        flow, valid = read_flow(tmp_path / "out" / "a_kitti.png")
        assert (valid[0, :3] == 0).all() and valid.sum() == valid.size - 3
        np.testing.assert_array_equal(flow, np.where(valid > 0, far, 0))
        assert "3 pixels are marked as unknown in" in capsys.readouterr().err

    def test_refinements_are_those_of_the_command_line(self, model, frames, tmp_path, capsys):
        command = ["flow", *pair(frames), "-o", str(tmp_path / "out"), "--iterations", "32"]
        assert main(command) == 2
        assert "that repeat theirs. Received: a ShiftModel" in capsys.readouterr().err
        assert main([*command[:-1], "0"]) == 2
        assert "invalid positive whole number value: '0'" in capsys.readouterr().err
        model.iterations = 12
        assert main(command) == 0 and model.iterations == 32

    def test_the_report_names_files_motion_and_time(self, model, frames, tmp_path, capsys):
        main(["flow", *pair(frames), "-o", str(tmp_path / "out")])
        printed = capsys.readouterr().out
        for name in ("a.flo", "a_flow.png", "a_warped.png"):
            assert str(tmp_path / "out" / name) in printed
        assert "motion: mean 2.24 px, largest 2.24 px" in printed
        assert " s for 60x40 with pwcnet_lite.scenes" in printed

    def test_quiet_prints_nothing(self, model, frames, tmp_path, capsys):
        assert main(["flow", *pair(frames), "-o", str(tmp_path / "out"), "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize(
        ("kind", "name"), [("flo", "a.flo"), ("kitti", "a_kitti.png"), ("pfm", "a.pfm")]
    )
    def test_every_format_is_read_back(self, model, frames, tmp_path, kind, name):
        assert main(["flow", *pair(frames), "-o", str(tmp_path), "--format", kind]) == 0
        flow, _ = read_flow(tmp_path / name)
        assert (flow == (2.0, -1.0)).all()

    def test_a_maximal_magnitude_sets_the_scale_of_the_picture(self, model, frames, tmp_path):
        main(["flow", *pair(frames), "-o", str(tmp_path), "--max-magnitude", "20"])
        picture = load_image(tmp_path / "a_flow.png")
        expected = flow_to_color([[[2.0, -1.0]]], max_magnitude=20)[0, 0]
        np.testing.assert_allclose(picture[0, 0], expected, atol=1 / 255)

    def test_the_preset_asked_for_is_loaded(self, monkeypatch, frames, tmp_path):
        asked = []
        monkeypatch.setattr(
            flow_command, "load_flow_model", lambda preset: asked.append(preset) or ShiftModel()
        )
        main(["flow", *pair(frames), "-o", str(tmp_path), "--preset", "some.other"])
        assert asked == ["some.other"]

    def test_without_arguments_the_shipped_frames_are_used(self, model, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert main(["flow"]) == 0
        assert sorted(path.name for path in (tmp_path / "c2f_flow").iterdir()) == [
            "frame_1.flo",
            "frame_1_flow.png",
            "frame_1_warped.png",
        ]
        shipped = importlib.resources.files("c2f_zoo") / "assets" / "frames" / "frame_1.jpg"
        with importlib.resources.as_file(shipped) as path:
            shape = load_image(path).shape
        assert load_image(tmp_path / "c2f_flow" / "frame_1_warped.png").shape == shape

    def test_an_input_is_never_overwritten(self, model, frames, capsys):
        first = frames / "x.png"
        second = frames / "x_warped.png"
        (frames / "a.png").rename(first)
        (frames / "b.png").rename(second)
        before = second.read_bytes()
        assert main(["flow", str(first), str(second), "-o", str(frames)]) == 1
        assert "never overwritten" in capsys.readouterr().err
        assert second.read_bytes() == before and len(list(frames.iterdir())) == 2


class TestErrorsOfTwoFrames:
    @pytest.fixture(autouse=True)
    def nothing_is_computed(self, monkeypatch):
        def refuse(preset):
            raise AssertionError("the model was loaded before the inputs were checked")

        monkeypatch.setattr(flow_command, "load_flow_model", refuse)

    def test_missing_files_are_named(self, frames, capsys):
        line = error_of(capsys, ["flow", str(frames / "a.png"), "no/such.png"])
        assert line.endswith("does not exist. Received: no/such.png")

    def test_a_text_file_named_png_is_named(self, frames, tmp_path, capsys):
        (frames / "b.png").write_text("this is text")
        line = error_of(capsys, ["flow", *pair(frames), "-o", str(tmp_path)])
        assert "not an image" in line and line.endswith(str(frames / "b.png"))

    def test_different_sizes_are_named(self, frames, tmp_path, capsys):
        Image.new("RGB", (61, 40)).save(frames / "b.png")
        line = error_of(capsys, ["flow", *pair(frames), "-o", str(tmp_path)])
        assert "a.png 60x40" in line and "b.png 61x40" in line

    def test_an_output_below_a_file_is_an_error_before_the_work(self, frames, tmp_path, capsys):
        (tmp_path / "file").write_text("mine")
        line = error_of(capsys, ["flow", *pair(frames), "-o", str(tmp_path / "file" / "out")])
        assert "cannot be written to" in line and line.endswith(f"{tmp_path / 'file'}, a file")

    def test_an_unwritable_output_is_an_error_before_the_work(
        self, frames, tmp_path, capsys, monkeypatch
    ):
        def refuse(*args, **kwargs):
            raise PermissionError(13, "Permission denied")

        # A permission bit would not stop a test that runs as root.
        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
        line = error_of(capsys, ["flow", *pair(frames), "-o", str(tmp_path / "out")])
        assert line.endswith(f"Received: {tmp_path}: Permission denied")
        assert not (tmp_path / "out").exists()

    def test_three_images_are_a_wrong_usage(self, frames, capsys):
        line = error_of(capsys, ["flow", *pair(frames), str(frames / "a.png")], status=2)
        assert line.endswith("3 inputs")

    def test_an_output_that_is_a_file_is_a_wrong_usage(self, frames, capsys):
        line = error_of(capsys, ["flow", *pair(frames), "-o", "out/a.flo"], status=2)
        assert line.endswith("names a folder, for three files. Received: out/a.flo")

    def test_one_image_is_a_wrong_usage(self, frames, capsys):
        line = error_of(capsys, ["flow", str(frames / "a.png")], status=2)
        assert "give two" in line and line.endswith("a.png")

    @pytest.mark.parametrize("option", [["--only-flow"], ["--fps", "3"], ["--images"]])
    def test_an_option_for_clips_is_a_wrong_usage(self, frames, capsys, option):
        line = error_of(capsys, ["flow", *pair(frames), *option], status=2)
        assert f"{option[0]} is for a clip" in line

    @pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "wide"])
    def test_a_magnitude_that_is_none_is_a_wrong_usage(self, frames, capsys, value):
        assert main(["flow", *pair(frames), f"--max-magnitude={value}"]) == 2
        assert f"invalid positive number value: '{value}'" in capsys.readouterr().err
