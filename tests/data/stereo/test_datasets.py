import pickle

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data.files.disparity import read_disparity, write_disparity
from c2f_zoo.data.files.images import save_image
from c2f_zoo.data.stereo.calibration import read_calibration
from c2f_zoo.data.stereo.datasets import (
    ETH3D,
    STEREO_DATASETS,
    KITTI2012Stereo,
    KITTI2015Stereo,
    MiddleburyStereo,
    SceneFlow,
    open_stereo_dataset,
)

pytestmark = pytest.mark.backend_free

SIZE = (4, 12)


def image(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(path, np.full((*SIZE, 3), shade / 255))


def pair(left, right):
    image(left, 10)
    image(right, 20)


def disparity(path, value=3.0, unknown=0):
    """A constant map, whose first `unknown` columns are unknown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full(SIZE, value)
    values[:, :unknown] = np.inf
    write_disparity(path, values)


def bytes_of_disparity(path, value, scale):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full(SIZE, value * scale, np.uint8)
    values[:, 0] = 0
    Image.fromarray(values).save(path)


def middlebury(root, edition):
    names = {
        "2001": ("im2.ppm", "im6.ppm", "disp2.pgm", "disp6.pgm", 8),
        "2003": ("imL.png", "imR.png", "disp2.png", "disp6.png", 4),
        "2006": ("view1.png", "view5.png", "disp1.png", "disp5.png", 3),
    }
    for scene in ("Cones", "Teddy"):
        if edition == "2014":
            pair(root / scene / "im0.png", root / scene / "im1.png")
            disparity(root / scene / "disp0.pfm", unknown=1)
            disparity(root / scene / "disp1.pfm")
        else:
            left, right, first, second, scale = names[edition]
            pair(root / scene / left, root / scene / right)
            bytes_of_disparity(root / scene / first, 3, scale)
            bytes_of_disparity(root / scene / second, 3, scale)
    return root


def benchmark(root, scene="Motorcycle", truths=None):
    """A scene as version 3 of Middlebury and ETH3D have it."""
    pair(root / scene / "im0.png", root / scene / "im1.png")
    (root / scene / "calib.txt").write_text(
        "cam0=[ 999.421 0 294.182 ; 0 999.421 252.932 ; 0 0 1 ] \n doffs= 32.778 \n"
        "baseline= 193.001 \nwidth= 741\n ndisp= 70\n isint= 0 \nvmin= 7"
    )
    folder = (truths or root) / scene
    disparity(folder / "disp0GT.pfm", unknown=1)
    mask = np.full(SIZE, 255, np.uint8)
    mask[:, :4], mask[:, 0] = 128, 0
    Image.fromarray(mask).save(folder / "mask0nocc.png")
    return root


def kitti(root, images=("image_2", "image_3"), suffix="_0"):
    for number in range(2):
        for half in ("training", "testing"):
            pair(*(root / half / name / f"{number:06d}_10.png" for name in images))
            pair(*(root / half / name / f"{number:06d}_11.png" for name in images))
        disparity(root / "training" / f"disp_occ{suffix}" / f"{number:06d}_10.png", unknown=1)
        disparity(root / "training" / f"disp_noc{suffix}" / f"{number:06d}_10.png", unknown=4)
    return root


def scene_flow(root):
    folders = {
        "FlyingThings3D": ["TRAIN/A/0000", "TEST/B/0001"],
        "Driving": ["35mm_focallength/scene_forwards/fast"],
        "Monkaa": ["treeflight_x2"],
    }
    for part, scenes in folders.items():
        for scene in scenes:
            for one_pass in ("cleanpass", "finalpass"):
                frames = root / part / f"frames_{one_pass}" / scene
                pair(frames / "left" / "0006.png", frames / "right" / "0006.png")
            disparity(root / part / "disparity" / scene / "left" / "0006.pfm")
    return root


MAKERS = {
    "middlebury": lambda root: middlebury(root, "2014"),
    "kitti2012": lambda root: kitti(root, ("colored_0", "colored_1"), ""),
    "kitti2015": kitti,
    "scene_flow": scene_flow,
    "eth3d": lambda root: benchmark(root / "two_view_training").parent,
}


@pytest.mark.parametrize("name", STEREO_DATASETS)
def test_every_data_set_is_a_lazy_sequence_of_samples(tmp_path, name):
    dataset = open_stereo_dataset(name, str(MAKERS[name](tmp_path)))
    assert len(dataset) == len(dataset.names) == len(set(dataset.names)) >= 1
    assert dataset.has_disparity
    sample = pickle.loads(pickle.dumps(dataset))[0]
    assert sample.name == dataset.names[0]
    assert sample.left.shape == sample.right.shape == (*SIZE, 3)
    assert [round(255 * float(x.mean())) for x in (sample.left, sample.right)] == [10, 20]
    assert sample.disparity.shape == sample.valid.shape == (*SIZE, 1)
    assert (sample.disparity[sample.valid > 0] == 3).all()
    assert len(dataset[:1]) == 1 and type(dataset[:1]) is type(dataset)


@pytest.mark.parametrize("edition", ["2001", "2003", "2006", "2014"])
def test_middleburys_scales_and_occlusions(tmp_path, edition):
    dataset = MiddleburyStereo(middlebury(tmp_path, edition), edition)
    sample = dataset[0]
    assert dataset.names == ("Cones", "Teddy")
    assert sample.disparity[0, :3, 0].tolist() == [0, 3, 3]
    # A pixel at x < 3 lies outside of the right image; at x = 3 that image's pixel is unknown.
    hidden = 3 if edition == "2014" else 4
    assert sample.occlusion[0, :, 0].tolist() == [0] + [1] * (hidden - 1) + [0] * (12 - hidden)


def test_middleburys_scale_may_be_another(tmp_path):
    dataset = MiddleburyStereo(middlebury(tmp_path, "2006"), "2006", scale=1)
    assert dataset[0].disparity.max() == 9


def test_one_scene_may_be_given(tmp_path):
    assert MiddleburyStereo(benchmark(tmp_path) / "Motorcycle").names == ("Motorcycle",)


def expected_occlusion():
    return [0] + [1] * 3 + [0] * 8


def test_a_mask_tells_what_is_occluded(tmp_path):
    sample = MiddleburyStereo(benchmark(tmp_path))[0]
    assert sample.occlusion[0, :, 0].tolist() == expected_occlusion()


def test_eth3d_finds_its_truth_in_a_folder_of_its_own(tmp_path):
    benchmark(tmp_path / "two_view_training", truths=tmp_path / "two_view_training_gt")
    sample = ETH3D(tmp_path)[0]
    assert sample.occlusion[0, :, 0].tolist() == expected_occlusion()


@pytest.mark.parametrize("name", ["kitti2012", "kitti2015"])
def test_kittis_other_map_tells_what_is_occluded(tmp_path, name):
    sample = open_stereo_dataset(name, MAKERS[name](tmp_path))[0]
    assert sample.valid[0, :, 0].tolist() == [0] + [1] * 11
    assert sample.occlusion[0, :, 0].tolist() == expected_occlusion()


def test_test_splits_have_no_disparity(tmp_path):
    kitti(tmp_path / "kitti")
    pair(tmp_path / "eth" / "two_view_test" / "a" / "im0.png",
         tmp_path / "eth" / "two_view_test" / "a" / "im1.png")  # fmt: skip
    for dataset in (KITTI2015Stereo(tmp_path / "kitti", "test"), ETH3D(tmp_path / "eth", "test")):
        assert not dataset.has_disparity
        assert dataset[0].disparity is None and dataset[0].valid is None


def test_scene_flow_is_split_by_folders(tmp_path):
    root = scene_flow(tmp_path)
    assert SceneFlow(root).names == (
        "FlyingThings3D/clean/TRAIN/A/0000/0006",
        "Driving/clean/35mm_focallength/scene_forwards/fast/0006",
        "Monkaa/clean/treeflight_x2/0006",
    )
    assert SceneFlow(root, "test", "both").names == (
        "FlyingThings3D/clean/TEST/B/0001/0006",
        "FlyingThings3D/final/TEST/B/0001/0006",
    )


def test_one_part_of_scene_flow_may_be_given(tmp_path):
    assert len(SceneFlow(scene_flow(tmp_path) / "Monkaa", pass_name="final")) == 1


@pytest.mark.parametrize(
    ("make", "lost", "message"),
    [
        (kitti, "training/image_3/000001_10.png", "000001 lacks image_3/000001_10.png"),
        (lambda r: middlebury(r, "2014"), "Teddy/im1.png", "Teddy lacks im1.png"),
        (scene_flow, "Monkaa/disparity/treeflight_x2/left/0006.pfm", "0006.png lacks disparity"),
    ],
    ids=["kitti2015", "middlebury", "scene_flow"],
)
def test_incomplete_samples_are_named(tmp_path, make, lost, message, request):
    root = make(tmp_path)
    (root / lost).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        open_stereo_dataset(request.node.callspec.id, root)


def test_other_layouts_and_options_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist. Received: .*nowhere"):
        SceneFlow(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="not the layout of KITTI 2012.*which is empty"):
        KITTI2012Stereo(tmp_path)
    with pytest.raises(FileNotFoundError, match="No samples of Middlebury 2014"):
        MiddleburyStereo(tmp_path)
    with pytest.raises(ValueError, match="edition must be one of.*Received: '1999'$"):
        MiddleburyStereo(tmp_path, "1999")
    with pytest.raises(ValueError, match="Did you mean 'eth3d'"):
        open_stereo_dataset("eth4d", tmp_path)


def test_the_samples_of_middlebury_at_hand_are_read(shared_data):
    root = shared_data / "stereo" / "middlebury"
    sets = [
        MiddleburyStereo(root / "2006", "2006"),
        MiddleburyStereo(root / "2003", "2003"),
        MiddleburyStereo(root / "MiddEval3" / "trainingQ"),
    ]
    assert [len(dataset) for dataset in sets] == [11, 1, 1]
    for dataset in sets:
        for sample in dataset:
            share = sample.occlusion.sum() / sample.valid.sum()
            assert 40 < sample.disparity.max() < 80 and 0.05 < share < 0.2
    calibration = read_calibration(sets[2].files[0].calibration)
    assert calibration.max_disparity == 70
    depth = calibration.depth(read_disparity(sets[2].files[0].disparity)[0])
    assert 1500 < depth.min() < 3000  # millimetres
