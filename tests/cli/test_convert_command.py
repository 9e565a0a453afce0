"""`c2f convert` around the importer, which has tests of its own."""

import json
import sys
import types

import pytest

from c2f_zoo.cli.main import main
from c2f_zoo.hub import load
from c2f_zoo.models import RAFT, PSMNet, PWCNet


@pytest.fixture(scope="module")
def network():
    return PWCNet("lite")


@pytest.fixture
def importer(network, monkeypatch):
    """Stands in for the reader of official checkpoints."""
    module = types.ModuleType("c2f_zoo.models.pwcnet.torch_weights")
    module.read = []

    def convert_official_pwcnet(path):
        if path.read_bytes() != b"weights":
            raise ValueError(f"Not a file of PyTorch weights. Received: {path}")
        module.read.append(path)
        return network

    module.convert_official_pwcnet = convert_official_pwcnet
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "pwc_net.pth.tar"
    path.write_bytes(b"weights")
    return path


def test_weights_become_a_preset_that_says_where_it_is_from(
    importer, network, source, tmp_path, capsys
):
    folder = tmp_path / "new" / "pwcnet.official"
    assert main(["convert", str(source), "-o", str(folder)]) == 0
    assert importer.read == [source]
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["class"] == "PWCNetLite"
    assert metadata["recipe"]["command"] == "c2f convert pwc_net.pth.tar -o pwcnet.official"
    assert "CC BY-NC-SA 4.0" in metadata["limits"][0]
    assert (folder / "README.md").is_file()
    printed = capsys.readouterr().out
    assert str(folder) in printed and f"{network.count_params():,} parameters" in printed


def test_weights_of_raft_are_converted_by_its_own_reader(monkeypatch, source, tmp_path):
    raft = RAFT("small", iterations=1)
    reader = "c2f_zoo.models.raft.torch_weights.convert_official_raft"
    monkeypatch.setattr(reader, lambda path: raft if path == source else None)
    for number, kind in enumerate((["raft"], ["--architecture", "raft"])):
        folder = tmp_path / str(number)
        assert main(["convert", *kind, str(source), "-o", str(folder)]) == 0
        metadata = json.loads((folder / "metadata.json").read_text())
        assert metadata["class"] == "RAFT"
        assert metadata["recipe"]["command"] == f"c2f convert raft pwc_net.pth.tar -o {number}"
        assert "BSD 3-Clause" in metadata["limits"][0]


@pytest.mark.parametrize("kind", ["stylegan2", "progan"])
def test_generative_networks_are_converted_by_their_own_readers(kind, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    from tests.models.gans import torch_reference as reference

    shapes = {"stylegan2": reference.stylegan2_shapes(), "progan": reference.gan_zoo_shapes()[0]}
    tensors = reference.as_torch(reference.random_tensors(shapes[kind]))
    torch.save({"g_ema" if kind == "stylegan2" else "avgG": tensors}, tmp_path / "g.pt")
    folder = tmp_path / f"{kind}.own"
    assert main(["convert", kind, str(tmp_path / "g.pt"), "-o", str(folder)]) == 0
    assert "g.pt holds no discriminator" in capsys.readouterr().err
    assert load(folder).generate(1, seed=0).shape == (1, 16, 16, 3)


def test_half_precision_halves_the_file(importer, source, tmp_path):
    assert main(["convert", str(source), "-o", str(tmp_path / "full")]) == 0
    assert main(["convert", str(source), "-o", str(tmp_path / "half"), "--half"]) == 0
    sizes = [(tmp_path / name / "model.weights.h5").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    assert main(["show", str(tmp_path / "half")]) == 0


def error_of(capsys, arguments):
    assert main(["convert", *arguments]) == 1
    line = capsys.readouterr().err
    assert line.startswith("c2f: error: ") and line.count("\n") == 1
    return line


def test_a_missing_source_is_named(importer, tmp_path, capsys):
    line = error_of(capsys, [str(tmp_path / "no.pth"), "-o", str(tmp_path / "out")])
    assert "no.pth, which does not exist" in line
    assert "a folder" in error_of(capsys, [str(tmp_path), "-o", str(tmp_path / "out")])


def test_a_foreign_file_is_named_and_leaves_nothing(importer, source, tmp_path, capsys):
    source.write_bytes(b"something else")
    line = error_of(capsys, [str(source), "-o", str(tmp_path / "out")])
    assert "Not a file of PyTorch weights" in line and not (tmp_path / "out").exists()


def test_a_folder_with_other_content_survives(importer, source, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert main(["convert", str(source), "-o", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_an_unwritable_output_is_found_before_the_work(importer, source, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    line = error_of(capsys, [str(source), "-o", str(tmp_path / "file" / "out")])
    assert "cannot be written to" in line and importer.read == []


def test_an_unknown_architecture_is_a_wrong_usage(source, capsys):
    assert main(["convert", str(source), "-o", "out", "--architecture", "nonet"]) == 2
    assert "pwcnet" in capsys.readouterr().err
    assert main(["convert", "nonet", str(source), "-o", "out"]) == 2
    assert "raft" in capsys.readouterr().err


@pytest.fixture
def psmnet_importer(monkeypatch):
    """Stands in for the reader of PSMNet's checkpoints: hands its options on."""
    module = types.ModuleType("c2f_zoo.models.psmnet.torch_weights")

    def convert_official_psmnet(path, align_corners=False):
        return PSMNet("basic", max_disparity=16, align_corners=align_corners)

    module.convert_official_psmnet = convert_official_psmnet
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize("options", [[], ["--align-corners"]])
def test_weights_of_psmnet_become_a_preset(psmnet_importer, source, tmp_path, options):
    folder = tmp_path / "psmnet.official"
    assert main(["convert", "psmnet", str(source), "-o", str(folder), *options]) == 0
    config = json.loads((folder / "config.json").read_text())
    assert config["class"] == "PSMNet" and config["config"]["align_corners"] is bool(options)
    command = json.loads((folder / "metadata.json").read_text())["recipe"]["command"]
    words = ["c2f convert psmnet pwc_net.pth.tar -o psmnet.official", *options]
    assert command == " ".join(words)


@pytest.mark.parametrize(
    ("words", "received"),
    [
        (
            ["psmnett"],
            "psmnet, stylegan2, progan. Did you mean 'psmnet'? Received: psmnett",
        ),
        (["psmnet", "--architecture", "pwcnet"], "one file. Received: psmnet pwcnet weights"),
        (["--align-corners"], "is for psmnet. Received: pwcnet"),
    ],
)
def test_what_does_not_fit_is_a_wrong_usage(capsys, words, received):
    assert main(["convert", *words, "weights", "-o", "out"]) == 2
    assert capsys.readouterr().err.rstrip().endswith(received)
