import json
import pathlib

import pytest

from c2f_zoo.hub import render_card
from c2f_zoo.hub.resolving import shipped_folders

pytestmark = pytest.mark.backend_free

METADATA = {
    "format": 1,
    "class": "PWCNet",
    "task": "optical_flow",
    "name": "pwcnet_lite.scenes",
    "summary": "Optical flow on a CPU.",
    "input": "Two RGB images (B, H, W, 3) in [0, 1].",
    "output": "Flow (B, H, W, 2), pixels.",
    "licence": "Apache-2.0",
    "paper": {
        "title": "PWC-Net",
        "authors": "D. Sun, X. Yang, M.-Y. Liu, J. Kautz",
        "year": 2018,
        "arxiv": "1709.02371",
        "bibtex": "@inproceedings{sun2018pwc,\n  title={PWC-Net}\n}",
    },
    "training_data": [
        {"name": "Scenes", "url": "https://example.org", "licence": "CC0-1.0", "hub_id": "a/b"}
    ],
    "recipe": {"command": "c2f train pwcnet_lite", "steps": 1000},
    "metrics": [
        {
            "name": "EPE",
            "value": 3.14159,
            "unit": "px",
            "dataset": "FlyingChairs, 9 pairs",
            "command": "c2f evaluate pwcnet_lite.scenes --dataset chairs",
            "compared_with": {"OpenCV | DIS": 3.7},
        },
        {
            "name": "Fl-all",
            "value": 12,
            "unit": "%",
            "dataset": "KITTI: 2015",
            "command": "c2f evaluate pwcnet_lite.scenes --dataset kitti",
        },
    ],
    "limits": ["Motion above 150 px."],
    "attributions": ["Photographs by someone, CC BY 4.0."],
    "parameters": 900_000,
    "precision": "float16",
    "versions": {"c2f_zoo": "0.1.0", "keras": "3.15.1"},
    "files": {"model.weights.h5": {"size": 1_800_000, "sha256": "0" * 64}},
}


def header(card):
    yaml = pytest.importorskip("yaml")  # huggingface_hub brings it
    start, text, _ = card.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(text)


def test_the_header_is_the_yaml_that_the_hub_reads():
    assert header(render_card(METADATA)) == {
        "library_name": "keras",
        "license": "apache-2.0",
        "pipeline_tag": "image-to-image",
        "tags": ["keras", "c2f_zoo", "optical-flow-estimation", "pwcnet", "arxiv:1709.02371"],
        "datasets": ["a/b"],
        "metrics": ["epe", "fl-all"],
        "model-index": [
            {
                "name": "pwcnet_lite.scenes",
                "results": [
                    {
                        "task": {"type": "optical-flow", "name": "optical flow"},
                        "dataset": {
                            "type": "flyingchairs-9-pairs",
                            "name": "FlyingChairs, 9 pairs",
                        },
                        "metrics": [{"type": "epe", "name": "EPE (px)", "value": 3.14159}],
                    },
                    {
                        "task": {"type": "optical-flow", "name": "optical flow"},
                        "dataset": {"type": "kitti-2015", "name": "KITTI: 2015"},
                        "metrics": [{"type": "fl-all", "name": "Fl-all (%)", "value": 12}],
                    },
                ],
            }
        ],
    }


def test_figures_of_one_data_set_stand_together():
    twice = [{**METADATA["metrics"][0], "name": name} for name in ("EPE", "Fl-all")]
    (index,) = header(render_card({**METADATA, "metrics": twice}))["model-index"]
    (result,) = index["results"]
    assert [metric["name"] for metric in result["metrics"]] == ["EPE (px)", "Fl-all (px)"]


def test_the_hubs_own_client_reads_the_header():
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(render_card(METADATA)).data
    assert data.license == "apache-2.0"
    assert [result.metric_value for result in data.eval_results] == [3.14159, 12]


@pytest.mark.parametrize(
    "text", ["no", "yes: it is", "# 1", "- a", "'q' \"q\"", "1.0", "a\nb", "é"]
)
def test_any_text_survives_in_the_header(text):
    metric = {**METADATA["metrics"][0], "dataset": text}
    read = header(render_card({**METADATA, "name": text, "metrics": [metric]}))
    assert read["model-index"][0]["name"] == text
    assert read["model-index"][0]["results"][0]["dataset"]["name"] == text


def test_a_licence_that_the_hub_does_not_know_is_named():
    read = header(render_card({**METADATA, "licence": "NVIDIA Source Code"}))
    assert (read["license"], read["license_name"]) == ("other", "nvidia-source-code")


def test_the_card_says_everything():
    card = render_card(METADATA)
    for text in (
        "# pwcnet_lite.scenes",
        "Optical flow on a CPU.",
        "`PWCNet`, 900,000 parameters",
        "[PWC-Net](https://arxiv.org/abs/1709.02371), D. Sun, X. Yang, M.-Y. Liu, J. Kautz, 2018",
        "from c2f_zoo import PWCNet\n",
        'PWCNet.from_pretrained("hf://c2f-zoo/pwcnet_lite.scenes")',
        "| Data set | Metric | This preset | OpenCV \\| DIS |",
        "| FlyingChairs, 9 pairs | EPE (px) | 3.142 | 3.7 |",
        "| KITTI: 2015 | Fl-all (%) | 12 |  |",
        "c2f evaluate pwcnet_lite.scenes --dataset kitti",
        "| [Scenes](https://example.org) | CC0-1.0 |  |",
        "c2f train pwcnet_lite\n",
        "- steps: 1000",
        "- Motion above 150 px.",
        "- Photographs by someone, CC BY 4.0.",
        "```bibtex\n@inproceedings{sun2018pwc,",
        "Weights: 1.8 MB, float16. Made with c2f_zoo 0.1.0, keras 3.15.1.",
    ):
        assert text in card


def test_a_card_of_little_metadata_has_no_empty_sections():
    card = render_card({"name": "demo", "class": "PWCNet", "task": "optical_flow"})
    assert [line for line in card.splitlines() if line.startswith("#")] == ["# demo", "## Use"]
    assert "None" not in card


def test_a_preset_of_someone_else_is_loaded_from_their_repository():
    card = render_card({**METADATA, "repo_id": "me/my_flow"})
    assert 'PWCNet.from_pretrained("hf://me/my_flow")' in card


def test_a_card_is_always_the_same():
    assert render_card(METADATA) == render_card(json.loads(json.dumps(METADATA)))


def test_every_shipped_card_is_that_of_its_metadata():
    for name, folder in shipped_folders().items():
        metadata = json.loads((folder / "metadata.json").read_text("utf-8"))
        assert (folder / "README.md").read_text("utf-8") == render_card(metadata), name
        assert metadata["name"] == name


def test_every_folder_of_models_is_shipped():
    models = pathlib.Path(__file__).parents[2] / "models"
    presets = {path.name for path in models.glob("*") if path.is_dir()}
    assert presets <= set(shipped_folders())
