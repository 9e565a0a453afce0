"""`c2f flow` on folders of frames and videos, with a stand-in for the network."""

import builtins
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
from c2f_zoo.data.files.video import VideoWriter, read_frames
from c2f_zoo.data.flow.picture import flow_to_color
from tests.cli.flow_toys import ShiftModel, UncertainModel, error_of


@pytest.fixture
def model(monkeypatch):
    fake = ShiftModel()
    monkeypatch.setattr(flow_command, "load_flow_model", lambda preset: fake)
    return fake


@pytest.fixture
def clip(tmp_path):
    """A folder `clip` of five frames, 32x48."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(5):
        Image.new("RGB", (48, 32), (40 * number, 100, 50)).save(folder / f"{number}.png")
    return folder


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

    def test_confidence_is_a_third_picture_and_files(self, model, clip, tmp_path):
        assert main(["flow", str(clip), "--images", "--confidence", "--format", "flo"]) == 0
        picture = next(iter(read_frames(tmp_path / "clip_flow")))
        assert picture.shape == (32, 3 * 48, 3)
        assert picture[1:, 96:-2].min() == 1 and picture[0, 96:].max() == 0
        names = sorted(path.name for path in (tmp_path / "clip_flow_files").iterdir())
        assert names[:3] == ["000001.flo", "000001_confidence.png", "000001_occlusion.png"]

    def test_expected_errors_are_a_third_picture_and_files(self, clip, tmp_path, monkeypatch):
        monkeypatch.setattr(flow_command, "load_flow_model", lambda preset: UncertainModel())
        command = ["flow", str(clip), "--images", "--uncertainty", "--format", "pfm"]
        assert main(command) == 0
        picture = next(iter(read_frames(tmp_path / "clip_flow")))
        assert picture.shape == (32, 3 * 48, 3)
        assert picture[1:, 96:].min() == 1
        np.testing.assert_allclose(picture[0, 96:], 0.25, atol=0.01)
        names = sorted(path.name for path in (tmp_path / "clip_flow_files").iterdir())
        assert names[:3] == ["000001.pfm", "000001_uncertainty.pfm", "000001_uncertainty.png"]

    def test_a_warm_start_is_for_networks_that_have_it(self, model, clip, monkeypatch, capsys):
        command = ["flow", str(clip), "--images", "--quiet", "--warm-start"]
        line = error_of(capsys, command, status=2)
        assert "--warm-start is for networks that refine" in line and "a ShiftModel" in line
        warm = []

        class Refining(ShiftModel):
            def flow_stream(self, frames, batch_size=4, confidence=False, warm_start=False):
                warm.append(warm_start)
                yield from super().flow_stream(frames, batch_size, confidence)

        monkeypatch.setattr(flow_command, "load_flow_model", lambda preset: Refining())
        assert main(command) == 0 and warm == [True]
        images = [str(clip / "0.png"), str(clip / "1.png")]
        line = error_of(capsys, ["flow", *images, "--warm-start"], status=2)
        assert line.endswith("--warm-start is for a clip. Received: two images")

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

        def interrupted(self, first, second, confidence):
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
