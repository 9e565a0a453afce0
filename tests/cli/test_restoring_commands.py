"""`c2f denoise`, `deblur`, `inpaint` and `upscale` on small networks with random weights."""

import os

import numpy as np
import pytest
from PIL import Image

from c2f_zoo import hub
from c2f_zoo.cli import restoring
from c2f_zoo.cli.main import main
from c2f_zoo.models import ProGAN, RestorationResNet, SRParaConvNet
from tests.tasks.restoration.restoration_toys import LocalNet


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    plain = RestorationResNet(4, 1, time_embedding=False)
    plain.close.kernel.assign(plain.close.kernel * 300)
    return {
        "plain": plain.save_pretrained(folder / "plain"),
        "timed": RestorationResNet(4, 1).save_pretrained(folder / "timed"),
        "x2": SRParaConvNet(4).save_pretrained(folder / "x2"),
        "gan": ProGAN(8, latent_size=4, num_filters=(8, 4)).save_pretrained(folder / "gan"),
    }


@pytest.fixture
def photos(tmp_path, rng):
    """Four photographs in a folder, one of them in a subfolder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "c.png", "sub/d.png"):
        Image.fromarray(rng.integers(0, 256, (12, 14, 3), "uint8")).save(folder / name)
    return folder


@pytest.fixture
def denoise(presets):
    return lambda *words: main(["denoise", "--preset", str(presets["plain"]), *map(str, words)])


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def test_a_photograph_is_written_beside_itself(denoise, photos, presets, capsys):
    before = (photos / "a.png").read_bytes()
    assert denoise(photos / "a.png") == 0
    made = np.asarray(Image.open(photos / "a_denoised.png"))
    expected = hub.load(presets["plain"]).restore(photos / "a.png")
    assert made.shape == (12, 14, 3) and np.abs(made / 255 - expected).max() <= 0.51 / 255
    assert (photos / "a.png").read_bytes() == before
    assert "a_denoised.png  14x12, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (["photos"], ["a_denoised.png", "b_denoised.png", "c_denoised.png", "sub/d_denoised.png"]),
        (["photos/*.png"], ["a_denoised.png", "c_denoised.png"]),
        (["photos/**/*.png"], ["a_denoised.png", "c_denoised.png", "sub/d_denoised.png"]),
        (["photos/a.png", "photos/b.jpg"], ["a_denoised.png", "b_denoised.png"]),
        (["photos/a.png", "photos/a.png", "--format", "webp"], ["a_denoised.webp"]),
        (["photos/sub", "--format", "tif"], ["d_denoised.tif"]),
    ],
)
@pytest.mark.parametrize("output", [True, False])
def test_files_folders_and_patterns(denoise, photos, tmp_path, monkeypatch, words, written, output):
    monkeypatch.chdir(tmp_path)
    before = names(photos)
    assert denoise(*words, *(["-o", "out"] if output else [])) == 0
    if output:
        within = "**" in words[0] and [name.removeprefix("sub/") for name in written]
        assert names(tmp_path / "out") == (within or written) and names(photos) == before
    else:
        place = photos / "sub" if words[0] == "photos/sub" else photos
        assert sorted(set(names(place)) - set(before) - {"d.png"}) == written


def test_results_of_an_earlier_run_are_left_out(denoise, photos, capsys):
    assert denoise(photos, "--side-by-side") == 0
    first = names(photos)
    assert denoise(photos, "--side-by-side", "--overwrite") == 0
    assert names(photos) == first
    assert "8 images called NAME_denoised are left out" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["photos"], ["photos/*.png"]])
@pytest.mark.parametrize("name", ["a_denoised.png", "a_denoised_side_by_side.png"])
def test_a_picture_that_is_called_like_a_result_is_replaced_on_request_only(
    denoise, photos, tmp_path, monkeypatch, capsys, words, name
):
    monkeypatch.chdir(tmp_path)
    mine = (photos / "c.png").read_bytes()
    (photos / name).write_bytes(mine)
    before = names(photos)
    assert denoise(*words, "--side-by-side") == 1
    assert f"with --overwrite, or choose another folder with -o. Received: photos/{name}" in (
        capsys.readouterr().err
    )
    assert names(photos) == before and (photos / name).read_bytes() == mine
    assert denoise(*words, "--side-by-side", "-o", "out") == 0
    assert (photos / name).read_bytes() == mine
    assert denoise(*words, "--side-by-side", "--overwrite") == 0
    assert (photos / name).read_bytes() != mine


def test_one_image_by_several_names_is_one(denoise, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    assert denoise("a.png", photos / "a.png", "sub/../a.png", "-o", tmp_path / "out") == 0
    assert names(tmp_path / "out") == ["a_denoised.png"]
    assert capsys.readouterr().out.count("14x12") == 1


def test_one_name_in_two_formats_makes_two_results(denoise, photos, tmp_path):
    (photos / "a.jpg").write_bytes((photos / "b.jpg").read_bytes())
    assert denoise(photos / "a.png", photos / "a.jpg", "-o", tmp_path / "out") == 0
    assert names(tmp_path / "out") == ["a_jpg_denoised.png", "a_png_denoised.png"]


def test_the_output_can_be_a_file(denoise, photos, tmp_path):
    assert denoise(photos / "a.png", "-o", tmp_path / "new" / "x.jpg", "--quality", "40") == 0
    with Image.open(tmp_path / "new" / "x.jpg") as image:
        assert image.format == "JPEG" and image.size == (14, 12)


def test_the_input_and_the_result_side_by_side(denoise, photos, presets):
    assert denoise(photos / "a.png", "--side-by-side") == 0
    both = np.asarray(Image.open(photos / "a_denoised_side_by_side.png"))
    np.testing.assert_array_equal(both[:, :14], np.asarray(Image.open(photos / "a.png")))
    np.testing.assert_array_equal(both[:, 14:], np.asarray(Image.open(photos / "a_denoised.png")))
    up = ["upscale", str(photos / "a.png"), "--preset", str(presets["x2"]), "--side-by-side"]
    assert main(up) == 0
    assert Image.open(photos / "a_upscaled.png").size == (28, 24)
    assert Image.open(photos / "a_upscaled_side_by_side.png").size == (56, 24)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("verb", ["denoise", "upscale"])
def test_grey_and_alpha_keep_their_kind(presets, photos, rng, mode, verb):
    image = rng.integers(0, 256, (12, 14, len(mode)), "uint8").squeeze()
    Image.fromarray(image).save(photos / "kind.png")
    preset = presets["plain" if verb == "denoise" else "x2"]
    assert main([verb, str(photos / "kind.png"), "--preset", str(preset)]) == 0
    with Image.open(photos / f"kind{restoring.SUFFIXES[verb]}.png") as made:
        assert made.mode == mode
        if "A" in mode and verb == "denoise":
            np.testing.assert_array_equal(np.asarray(made)[..., -1], image[..., -1])


@pytest.mark.parametrize("given", ["jpg", "tif", "png"])
@pytest.mark.parametrize("made", ["jpg", "tif", "png", "webp"])
def test_profile_and_exif_are_kept_and_the_orientation_applied(denoise, photos, rng, given, made):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = 6, "a camera", {0x829A: 0.25}  # exposure
    image = Image.fromarray(rng.integers(0, 256, (12, 14, 3), "uint8"))
    image.save(photos / f"e.{given}", exif=exif.tobytes(), icc_profile=b"a profile")
    assert denoise(photos / f"e.{given}", "--format", made) == 0
    with Image.open(photos / f"e_denoised.{made}") as made:
        assert made.size == (12, 14) and np.asarray(made).shape == (14, 12, 3)
        assert made.info["icc_profile"] == b"a profile"
        assert made.getexif().get(0x010F) == "a camera" and made.getexif().get(0x0112, 1) == 1
        assert made.getexif().get_ifd(0x8769)[0x829A] == 0.25


def test_broken_files_are_named_and_the_others_done(denoise, photos, capsys):
    (photos / "zero.png").touch()
    (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:200])
    assert denoise(photos) == 1
    captured = capsys.readouterr()
    assert "zero.png: " in captured.err and "it is empty" in captured.err
    assert "cut.png: The image cannot be read" in captured.err
    assert "2 of 6 images failed, 4 were written" in captured.err
    assert captured.out.count("_denoised.png") == 4
    assert "4 images, 0." in captured.out and "s each on average" in captured.out
    assert not (photos / "zero_denoised.png").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip.mp4", "Expected a video that ffmpeg can read"),
        ("text.png", "is not an image in a format that Pillow reads"),
        ("zero.png", "it is empty"),
    ],
)
def test_files_without_an_image_are_refused_before_a_model_is_loaded(
    denoise, photos, monkeypatch, capsys, name, message
):
    (photos / name).write_bytes(b"" if name == "zero.png" else b"no image" * 99)
    monkeypatch.setattr(restoring, "load_restoration_model", lambda *_: pytest.fail("loaded"))
    assert denoise(photos / name) == 1
    assert message in capsys.readouterr().err


def test_a_video_is_for_one_that_denoises_alone(photos, monkeypatch, capsys):
    (photos / "clip.mp4").write_bytes(b"no image" * 99)
    monkeypatch.setattr(restoring, "load_restoration_model", lambda *_: pytest.fail("loaded"))
    assert main(["deblur", str(photos / "clip.mp4")]) == 1
    message = "Inputs must be images. Of a video, its frames: ffmpeg"
    assert message in capsys.readouterr().err


def test_tiles_are_taken_as_asked(presets, photos, monkeypatch):
    received = []
    monkeypatch.setattr(
        RestorationResNet,
        "restore",
        lambda self, picture, **options: received.append(options) or picture.pixels(),
    )
    words = ["denoise", str(photos / "a.png"), "--preset", str(presets["plain"])]
    assert main([*words, "--tile", "32", "--overlap", "8"]) == 0
    assert received == [{"time": None, "tile": 32, "overlap": 8}]


class TestInpainting:
    @pytest.fixture(autouse=True)
    def local(self, monkeypatch):
        net = LocalNet(mask=True)
        monkeypatch.setattr(restoring, "load_restoration_model", lambda preset, verb: net)
        return net

    @pytest.fixture
    def mask(self, tmp_path):
        mask = np.full((12, 14), 255, "uint8")
        mask[3:7, 4:9] = 0
        Image.fromarray(mask).save(tmp_path / "mask.png")
        return mask > 0

    def test_only_the_hole_changes(self, photos, tmp_path, mask):
        assert main(["inpaint", str(photos / "a.png"), "--mask", str(tmp_path / "mask.png")]) == 0
        given, made = (
            np.asarray(Image.open(photos / name)) for name in ("a.png", "a_inpainted.png")
        )
        np.testing.assert_array_equal(made[mask], given[mask])
        assert (made[~mask] != given[~mask]).any()

    def test_an_inverted_mask_says_the_same(self, photos, tmp_path, mask):
        Image.fromarray(~mask).save(tmp_path / "hole.png")
        words = ["inpaint", str(photos / "a.png"), "--mask"]
        assert main([*words, str(tmp_path / "mask.png"), "-o", str(tmp_path / "1.png")]) == 0
        hole = [str(tmp_path / "hole.png"), "--mask-invert"]
        assert main([*words, *hole, "-o", str(tmp_path / "2.png")]) == 0
        assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()

    def test_a_folder_of_masks(self, photos, tmp_path, mask, capsys):
        (tmp_path / "masks").mkdir()
        for name in ("a", "b", "d"):
            Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
        words = [
            "inpaint",
            str(photos),
            "--mask",
            str(tmp_path / "masks"),
            "-o",
            str(tmp_path / "o"),
        ]
        assert main(words) == 1
        assert names(tmp_path / "o") == [
            "a_inpainted.png", "b_inpainted.png", "sub/d_inpainted.png"
        ]  # fmt: skip
        assert "must hold one mask called c.png, or of another format" in capsys.readouterr().err

    def test_a_line_tells_of_a_hole_that_is_too_large(self, tmp_path, rng, capsys):
        mask = np.full((60, 60), 255, "uint8")
        mask[5:55, 5:55] = 0
        Image.fromarray(mask).save(tmp_path / "mask.png")
        for name in "ab":
            image = Image.fromarray(rng.integers(0, 256, (60, 60, 3), "uint8"))
            image.save(tmp_path / f"{name}.png")
        words = ["inpaint", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--mask"]
        assert main([*words, str(tmp_path / "mask.png")]) == 0
        err = capsys.readouterr().err
        for name in "ab":
            assert f"c2f: {tmp_path / name}.png: The mask has a hole about 50 pixels wide" in err

    def test_a_mask_is_not_overwritten(self, photos, tmp_path, mask, capsys):
        words = ["--mask", str(tmp_path / "mask.png"), "-o", str(tmp_path / "mask.png")]
        assert main(["inpaint", str(photos / "a.png"), *words]) == 1
        assert "An input is never overwritten" in capsys.readouterr().err

    def test_masks_that_do_not_fit_are_refused(self, photos, tmp_path, capsys):
        Image.new("L", (9, 9), 255).save(tmp_path / "small.png")
        Image.new("L", (14, 12), 100).save(tmp_path / "grey.png")
        for name, message in (
            ("small.png", "the image 14x12 and its mask 9x9"),
            ("grey.png", "two values"),
            ("none.png", "A mask does not exist"),
        ):
            words = ["inpaint", str(photos / "a.png"), "--mask", str(tmp_path / name)]
            assert main(words) == 1 and message in capsys.readouterr().err

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
    def test_a_pipe_is_no_mask(self, photos, tmp_path, capsys):
        os.mkfifo(tmp_path / "pipe")
        words = ["inpaint", str(photos / "a.png"), "--mask", str(tmp_path / "pipe")]
        assert main(words) == 1
        message = f"file or a folder, not a pipe or a device. Received: {tmp_path / 'pipe'}"
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["missing.png"], 1, "An input does not exist. Received: missing.png"),
        (["photos/*.gif"], 1, "No image matches this pattern. Received: photos/*.gif"),
        (["nothing"], 1, "hold no image"),
        (["photos/a.png", "-o", "photos/a.png"], 1, "An input is never overwritten"),
        (["photos/a.png", "-o", "x.bmp"], 2, ".tif, .tiff. Received: x.bmp"),
        (["photos", "-o", "x.GIF"], 2, "-o must be a folder, or a file that ends with .png"),
        (["photos", "-o", "x.png"], 2, "a folder for several images. Received: x.png"),
        (["photos/a.png", "-o", "x.png", "--format", "jpg"], 2, "--format jpg and x.png"),
        (["photos/a.png", "--quality", "101"], 2, "quality (1 to 100)"),
        (["photos/a.png", "--tile", "-1"], 2, "number of pixels"),
        (["photos/a.png", "--time", "0.5"], 1, "takes no time. Received: time=0.5"),
        (["photos/a.png", "-o", "photos/b.jpg/x"], 1, "cannot be written to"),
        (["photos/clear.png", "--format", "jpg"], 1, "JPEG holds no transparency"),
        ([], 2, "INPUT"),
    ],
)
def test_wrong_usage_is_explained(
    denoise, photos, tmp_path, monkeypatch, capsys, words, status, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    Image.new("RGBA", (9, 9)).save(photos / "clear.png")
    before = names(photos)
    assert denoise(*words) == status
    assert message in capsys.readouterr().err
    assert names(photos) == before


@pytest.mark.parametrize(
    ("verb", "preset", "message"),
    [
        ("denoise", "x2", "a SRParaConvNet, which enlarges images (c2f upscale)"),
        ("upscale", "plain", "a RestorationResNet, which restores images (c2f denoise"),
        ("deblur", "gan", "A preset that restores images (c2f denoise"),
        ("denoise", "timed", "time, the share of noise"),
    ],
)
def test_a_preset_of_another_task_is_refused(presets, photos, capsys, verb, preset, message):
    assert main([verb, str(photos / "a.png"), "--preset", str(presets[preset])]) == 1
    assert message in capsys.readouterr().err
