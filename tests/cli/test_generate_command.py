"""`c2f generate` on small networks with random weights."""

import numpy as np
import pytest
from PIL import Image

from c2f_zoo import hub
from c2f_zoo.cli.main import main
from c2f_zoo.models import MSGGAN, ProGAN, PWCNet, StyleGAN2


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    plain = ProGAN(8, latent_size=4, num_filters=(8, 4), seed=0)
    styled = StyleGAN2(16, latent_size=4, w_size=4, num_filters=(8, 4, 4), seed=0)
    for weight in styled.ema_generator.weights:
        if weight.path.endswith("strength"):  # of the noise, of which there is none at first
            weight.assign(weight + 0.5)
    styles = {"latent_size": 4, "w_size": 4, "mapping_depth": 1, "num_filters": (8, 4)}
    scales = MSGGAN(8, architecture="stylegan", **styles, seed=0)
    return {
        "plain": plain.save_pretrained(folder / "plain"),
        "styled": styled.save_pretrained(folder / "styled"),
        "scales": scales.save_pretrained(folder / "scales"),
        "flow": PWCNet("lite").save_pretrained(folder / "flow"),
    }


@pytest.fixture
def generate(presets, tmp_path):
    def run(name, *options):
        return main(["generate", str(presets[name]), "-o", str(tmp_path / "out"), *options])

    return run


def test_pictures_and_their_grid(generate, presets, tmp_path, capsys):
    assert generate("plain", "-n", "3", "--seed", "5") == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["grid.png", "seed0005_001.png", "seed0005_002.png", "seed0005_003.png"]
    picture = np.asarray(Image.open(tmp_path / "out" / "seed0005_002.png"))
    expected = hub.load(presets["plain"]).generate(2, seed=5)[1]
    assert np.abs(picture / 255 - expected).max() <= 0.5 / 255 + 1e-5
    assert "3 pictures of 8x8" in capsys.readouterr().out


def test_a_film(generate, tmp_path):
    assert generate("plain", "--film", "--gif", "--seconds", "1", "--fps", "8", "-n", "4") == 0
    with Image.open(tmp_path / "out" / "film.gif") as film:
        assert film.n_frames > 1 and film.size == (16, 16)


@pytest.fixture
def few_steps(monkeypatch):
    project = StyleGAN2.project
    monkeypatch.setattr(
        StyleGAN2, "project", lambda self, image, **o: project(self, image, steps=2, **o)
    )


def test_sheets_and_a_projected_picture(generate, tmp_path, few_steps):
    Image.new("RGB", (20, 30), "red").save(tmp_path / "red.png")
    options = ["--sheets", "--project", str(tmp_path / "red.png"), "-n", "1", "--quiet"]
    assert generate("styled", "--truncation", "0.5", "--style-mixing", "0.5", *options) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"truncation.png", "mixing_coarse.png", "mixing_middle.png"} <= names
    assert "mixing_fine.png" not in names
    assert Image.open(tmp_path / "out" / "projected.png").size == (32, 16)


def test_batch_size_and_truncation_reach_sheets_and_film(generate, tmp_path, monkeypatch):
    received = {}

    def watch(name):
        made = getattr(StyleGAN2, name)

        def watched(self, *arguments, **options):
            received[name] = options
            return made(self, *arguments, **options)

        monkeypatch.setattr(StyleGAN2, name, watched)

    for name in ("film", "truncation_sheet", "style_mixing_sheet"):
        watch(name)
    options = ["--truncation", "0.5", "--batch-size", "3", "--sheets", "--quiet"]
    film = ["--film", "--gif", "--seconds", "0.5", "--fps", "4", "-n", "1"]
    assert generate("styled", *options, *film) == 0
    assert {name: given["batch_size"] for name, given in received.items()} == {
        "film": 3,
        "truncation_sheet": 3,
        "style_mixing_sheet": 3,
    }
    assert received["style_mixing_sheet"]["truncation"] == received["film"]["truncation"] == 0.5


@pytest.mark.parametrize("quiet", [True, False])
def test_a_film_has_a_progress_bar_unless_quiet(generate, capsys, quiet):
    options = ["--film", "--gif", "--seconds", "1", "--fps", "4", "-n", "1"]
    assert generate("plain", *options, *["--quiet"][:quiet]) == 0
    assert ("4/4" in capsys.readouterr().err) != quiet


def test_the_projected_picture_follows_from_its_file(generate, presets, tmp_path, few_steps):
    Image.new("RGB", (20, 30), "red").save(tmp_path / "red.png")
    assert generate("styled", "--project", str(tmp_path / "red.png"), "-n", "1", "--quiet") == 0
    model = hub.load(presets["styled"])
    # As the docstring of `synthesize` says.
    with np.load(tmp_path / "out" / "projected.npz") as file:
        noise = [file[f"noise_{index}"] for index in range(len(file.files) - 1)]
        w = file["w"]
    assert w.shape == (1, 6, 4)
    shown = np.asarray(Image.open(tmp_path / "out" / "projected.png"))[:, 16:] / 255
    assert np.abs(model.synthesize(w, noise=noise)[0] - shown).max() <= 0.5 / 255 + 1e-4
    # The style alone makes another one.
    assert np.abs(model.synthesize(w, seed=0)[0] - shown).max() > 2 / 255


def test_a_transparent_picture_needs_a_background(generate, tmp_path, few_steps, capsys):
    file = tmp_path / "glass.png"
    Image.new("RGBA", (16, 16), (0, 255, 0, 0)).save(file)
    options = ["--project", str(file), "-n", "1", "--quiet"]
    assert generate("styled", *options) == 1
    assert "choose a background colour. Received: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert generate("styled", *options, "--background", "#0000ff") == 0
    shown = np.asarray(Image.open(tmp_path / "out" / "projected.png"))
    assert (shown[:, :16] == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("name", "options", "status", "message"),
    [
        ("flow", [], 1, "generates images is needed"),
        ("plain", ["--sheets"], 1, "needs a style-based model"),
        ("scales", ["--project", __file__], 1, "needs a StyleGAN or StyleGAN2. Received: "),
        ("plain", ["--project", "missing.png"], 1, "Received: missing.png"),
        ("plain", ["--truncation", "0.5"], 1, "no styles"),
        ("plain", ["--label", "3"], 1, "without labels"),
        ("plain", ["--background", "white"], 2, "no --project"),
        ("plain", ["--background", "whitish"], 2, "invalid colour"),
        ("plain", ["-n", "0"], 2, "positive whole number"),
        ("plain", ["--seed", "-1"], 2, "-1"),
        ("plain", ["--style-mixing", "2"], 2, "probability"),
    ],
)
def test_what_cannot_be_is_said(generate, capsys, name, options, status, message):
    assert generate(name, *options) == status
    assert message in capsys.readouterr().err


def test_sheets_are_of_every_style_based_model(generate, tmp_path):
    assert generate("scales", "--sheets", "-n", "1", "--quiet") == 0
    assert (tmp_path / "out" / "truncation.png").exists()


def test_an_output_that_is_a_file_name_is_refused(presets, tmp_path, capsys):
    status = main(["generate", str(presets["plain"]), "-o", str(tmp_path / "a.png")])
    assert status == 2 and "names a folder" in capsys.readouterr().err
