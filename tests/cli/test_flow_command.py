"""`c2f flow` with a stand-in for the network: files, messages, exit statuses."""

import builtins
import importlib.resources
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.cli import flow as flow_command
from c2f_zoo.cli.main import main
from c2f_zoo.data.files.flow import read_flow
from c2f_zoo.data.files.images import load_image
from c2f_zoo.data.files.video import VideoWriter, read_frames
from c2f_zoo.data.flow.picture import flow_to_color


class ShiftModel:
    """Answers with a motion of 2 px to the right and 1 px up, whatever it sees."""

    def __init__(self):
        self.calls = []

    def flow(self, first, second):
        assert first.shape == second.shape
        return np.full((*first.shape[:2], 2), (2.0, -1.0), np.float32)

    def flow_stream(self, frames, batch_size=4):
        self.calls.append(batch_size)
        held = None
        for frame in frames:
            if held is not None:
                yield self.flow(held, frame)
            held = frame


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


@pytest.fixture
def clip(tmp_path):
    """A folder `clip` of five frames, 32x48."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(5):
        Image.new("RGB", (48, 32), (40 * number, 100, 50)).save(folder / f"{number}.png")
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


def error_of(capsys, arguments, status=1):
    """Run, check the exit status and that the error is one line; return that line."""
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("c2f: error: "), captured.err
    return lines[0]


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


class TestClip:
    def test_a_folder_gives_numbered_pictures(self, model, clip, tmp_path, capsys):
        assert main(["flow", str(clip), "--images"]) == 0
        pictures = list(read_frames(tmp_path / "clip_flow"))
        assert len(pictures) == 4
        for number, picture in enumerate(pictures):
            assert picture.shape == (32, 96, 3)
            np.testing.assert_allclose(picture[0, 0] * 255, (40 * number, 100, 50), atol=1)
            # The colour of (2, -1), at full strength.
            np.testing.assert_allclose(
                picture[0, 48], flow_to_color([[[2.0, -1.0]]])[0, 0], atol=0.01
            )
        captured = capsys.readouterr()
        assert f"{tmp_path / 'clip_flow'}  4 pictures of 96x32, 24 a second" in captured.out
        assert "frames per second with pwcnet_lite.scenes" in captured.out
        assert "4/4" in captured.err  # the progress bar

    def test_a_video_gives_a_video_beside_it(self, model, clip, tmp_path):
        pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
        with VideoWriter(tmp_path / "film.mp4", fps=12.5, size=(32, 48)) as video:
            for frame in read_frames(clip):
                video.write(frame)
        assert main(["flow", str(tmp_path / "film.mp4"), "--quiet"]) == 0
        result = read_frames(tmp_path / "film_flow.mp4")
        assert result.fps == 12.5
        assert [picture.shape for picture in result] == [(32, 96, 3)] * 4

    def test_the_folder_one_stands_in_is_a_clip_too(self, model, clip, tmp_path, monkeypatch):
        monkeypatch.chdir(clip)
        assert main(["flow", ".", "--images", "--quiet"]) == 0
        assert len(list((tmp_path / "clip_flow").iterdir())) == 4

    def test_only_flow_leaves_the_frame_out(self, model, clip, tmp_path):
        main(["flow", str(clip), "--images", "--only-flow", "--quiet", "-o", str(tmp_path / "o")])
        assert next(iter(read_frames(tmp_path / "o" / "clip_flow"))).shape == (32, 48, 3)

    def test_an_output_that_is_a_video_is_written_there(self, model, clip, tmp_path):
        pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
        output = tmp_path / "deep" / "result.mkv"
        assert main(["flow", str(clip), "-o", str(output), "--fps", "5", "--quiet"]) == 0
        assert read_frames(output).fps == 5

    @pytest.mark.parametrize(("kind", "suffix"), [("flo", ".flo"), ("kitti", "_kitti.png")])
    def test_a_format_adds_the_flow_files(self, model, clip, tmp_path, kind, suffix):
        assert main(["flow", str(clip), "--images", "--format", kind]) == 0
        names = sorted(path.name for path in (tmp_path / "clip_flow_files").iterdir())
        assert names == [f"00000{number}{suffix}" for number in (1, 2, 3, 4)]
        assert (read_flow(tmp_path / "clip_flow_files" / names[0])[0] == (2.0, -1.0)).all()

    def test_small_frames_are_computed_several_at_once(self, model, clip):
        main(["flow", str(clip), "--images", "--quiet"])
        main(["flow", str(clip), "--images", "--quiet", "--batch-size", "3"])
        assert model.calls == [8, 3]
        assert flow_command._flows_at_once(436, 1024) == 2
        assert flow_command._flows_at_once(1080, 1920) == 1

    def test_running_it_again_replaces_the_result(self, model, clip, tmp_path):
        for _ in range(2):
            assert main(["flow", str(clip), "--images", "--quiet"]) == 0
        assert {path.name for path in tmp_path.iterdir()} == {"clip", "clip_flow"}

    def test_one_frame_is_an_error(self, model, clip, capsys):
        for number in range(1, 5):
            (clip / f"{number}.png").unlink()
        line = error_of(capsys, ["flow", str(clip)])
        assert "at least 2 frames. Received: 1 in" in line

    def test_no_frames_is_an_error(self, model, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        assert "Received: none in" in error_of(capsys, ["flow", str(tmp_path / "empty")])

    def test_a_text_file_named_mp4_is_an_error(self, model, tmp_path, capsys):
        pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
        (tmp_path / "film.mp4").write_text("this is text")
        line = error_of(capsys, ["flow", str(tmp_path / "film.mp4")])
        assert "a video that ffmpeg can read" in line

    def test_an_input_is_never_overwritten(self, model, tmp_path, clip, capsys):
        pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
        film = tmp_path / "film.mp4"
        with VideoWriter(film, fps=24, size=(32, 48)) as video:
            for frame in read_frames(clip):
                video.write(frame)
        before = film.read_bytes()
        line = error_of(capsys, ["flow", str(film), "-o", str(film)])
        assert "never overwritten" in line and film.read_bytes() == before

    def test_a_folder_of_something_else_is_never_replaced(self, model, clip, tmp_path, capsys):
        (tmp_path / "clip_flow").mkdir()
        (tmp_path / "clip_flow" / "thesis.txt").write_text("mine")
        assert "thesis.txt" in error_of(capsys, ["flow", str(clip), "--images"])
        assert (tmp_path / "clip_flow" / "thesis.txt").exists()

    def test_an_unknown_kind_of_video_is_a_wrong_usage(self, model, clip, capsys):
        line = error_of(capsys, ["flow", str(clip), "-o", "film.webm"], status=2)
        assert line.endswith("-o film.webm")

    def test_images_into_a_video_are_a_wrong_usage(self, model, clip, capsys):
        error_of(capsys, ["flow", str(clip), "--images", "-o", "film.mp4"], status=2)

    def test_a_missing_ffmpeg_names_the_extra_and_the_way_round(
        self, model, clip, capsys, monkeypatch
    ):
        real = builtins.__import__

        def without_imageio(name, *args, **kwargs):
            if name == "imageio_ffmpeg":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without_imageio)
        line = error_of(capsys, ["flow", str(clip)])
        assert 'pip install "c2f_zoo[video]"' in line and "--images" in line
        assert main(["flow", str(clip), "--images", "--quiet"]) == 0

    def test_ctrl_c_keeps_what_is_done(self, model, clip, tmp_path, capsys, monkeypatch):
        real = ShiftModel.flow

        def interrupted(self, first, second):
            if first[0, 0, 0] > 0.4:  # the fourth frame
                raise KeyboardInterrupt
            return real(self, first, second)

        monkeypatch.setattr(ShiftModel, "flow", interrupted)
        assert main(["flow", str(clip), "--images"]) == 130
        part = tmp_path / "clip_flow.part"
        assert len(list(read_frames(part))) == 3
        assert f"the 3 frames done so far are in {part}" in capsys.readouterr().err
        assert not (tmp_path / "clip_flow").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal to a process group")
def test_ctrl_c_in_a_terminal_leaves_a_playable_part(clip, tmp_path):
    """The signal reaches the whole process group, as a terminal sends it."""
    pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
    script = textwrap.dedent(
        """
        import signal, sys, time
        import numpy as np
        from c2f_zoo.cli import flow
        from c2f_zoo.cli.main import main

        # A test run in the background of a shell inherits SIGINT ignored; a terminal does not.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        class Slow:
            def flow_stream(self, frames, batch_size):
                for number, frame in enumerate(frames):
                    if number > 2:
                        print("ready", flush=True)
                        time.sleep(60)
                    yield np.zeros((*frame.shape[:2], 2), np.float32)

        flow.load_flow_model = lambda preset: Slow()
        sys.exit(main(sys.argv[1:]))
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "flow", str(clip)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    os.killpg(process.pid, signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in messages
    assert len(list(read_frames(tmp_path / "clip_flow.part.mp4"))) == 3


class TestColorScale:
    def test_it_rises_at_once_and_falls_slowly(self):
        scale = flow_command.ColorScale()
        fast, still = np.full((8, 8, 2), (30.0, 40.0)), np.zeros((8, 8, 2))
        assert scale.follow(fast) == 50
        assert scale.follow(still) == pytest.approx(47.5)
        assert scale.follow(still) == pytest.approx(47.5 * 0.95)
        assert scale.follow(fast) == 50

    def test_a_few_wild_pixels_do_not_set_it(self):
        flow = np.full((100, 100, 2), (3.0, 4.0))
        flow[0, 0] = 1e4
        assert flow_command.ColorScale().follow(flow) == pytest.approx(5)

    def test_a_still_clip_does_not_show_its_noise_in_full_colour(self):
        assert flow_command.ColorScale().follow(np.full((8, 8, 2), 0.01)) == 0.5

    def test_a_fixed_one_stays(self):
        assert flow_command.ColorScale(7.0).follow(np.full((8, 8, 2), 100.0)) == 7
