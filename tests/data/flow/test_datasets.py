import pickle
from pathlib import Path

import numpy as np
import pytest

from c2f_zoo.data.files.flow import read_flow, write_flow
from c2f_zoo.data.files.images import load_image, save_image
from c2f_zoo.data.flow import (
    FLOW_DATASETS,
    HD1K,
    KITTI2012,
    KITTI2015,
    FlyingChairs,
    FlyingThings3D,
    Middlebury,
    Sintel,
    open_flow_dataset,
)

pytestmark = pytest.mark.backend_free

SIZE = (4, 6)


def number_of(name):
    return int("".join(letter for letter in name if letter.isdigit()) or 0) % 97


def put(root, *names):
    """Write tiny images, flows and masks whose values tell which file they came from."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        number = number_of(path.stem)
        if path.suffix in (".flo", ".pfm") or path.parent.name.startswith("flow_"):
            valid = np.ones(SIZE)
            valid[0] = path.parent.name != "flow_noc"
            write_flow(path, np.full((*SIZE, 2), (number, -1.0)), valid)
        elif path.parent.parent.name in ("occlusions", "invalid"):
            mask = np.zeros(SIZE)
            mask[:, 0 if path.parent.parent.name == "invalid" else 1] = 1
            save_image(path, mask)
        else:
            save_image(path, np.full((*SIZE, 3), number / 255))
    return root


def chairs(root, numbers=(1, 2, 3)):
    parts = ("img1.ppm", "img2.ppm", "flow.flo")
    return put(root, *(f"data/{n:05d}_{part}" for n in numbers for part in parts))


def things(root, letter="TRAIN"):
    names = []
    for one_pass in ("clean", "final"):
        for camera in ("left", "right"):
            for n in (6, 7, 8):
                names.append(f"frames_{one_pass}pass/{letter}/A/0000/{camera}/{n:04d}.png")
    for word in ("Future", "Past"):
        for camera in ("left", "right"):
            for n in (6, 7, 8):
                folder = f"optical_flow/{letter}/A/0000/into_{word.lower()}/{camera}"
                names.append(f"{folder}/OpticalFlowInto{word}_{n:04d}_{camera[0].upper()}.pfm")
    return put(root, *names)


def sintel(root):
    for scene, count in (("alley_1", 3), ("bamboo_2", 2)):
        for n in range(1, count + 1):
            for one_pass in ("clean", "final"):
                put(root, f"training/{one_pass}/{scene}/frame_{n:04d}.png")
            put(root, f"training/invalid/{scene}/frame_{n:04d}.png")
            if n < count:
                put(root, f"training/flow/{scene}/frame_{n:04d}.flo")
                put(root, f"training/occlusions/{scene}/frame_{n:04d}.png")
    for n in (1, 2):
        put(root, f"test/clean/cave_3/frame_{n:04d}.png")
        put(root, f"test/final/cave_3/frame_{n:04d}.png")
    return root


def kitti(root, images=("image_2",)):
    for folder in images:
        for n in range(2):
            for half in ("training", "testing"):
                put(root, f"{half}/{folder}/{n:06d}_10.png", f"{half}/{folder}/{n:06d}_11.png")
    for n in range(2):
        put(root, f"training/flow_occ/{n:06d}_10.png", f"training/flow_noc/{n:06d}_10.png")
    return root


def middlebury(root):
    for scene in ("Beanbags", "RubberWhale", "Venus"):
        put(root, f"other-data/{scene}/frame10.png", f"other-data/{scene}/frame11.png")
    put(root, "other-gt-flow/RubberWhale/flow10.flo", "other-gt-flow/Venus/flow10.flo")
    return put(root, "eval-data/Army/frame10.png", "eval-data/Army/frame11.png")


def hd1k(root):
    for n in range(3):
        put(root, f"hd1k_input/image_2/000000_{n:04d}.png")
        put(root, f"hd1k_flow_gt/flow_occ/000000_{n:04d}.png")
    for n in range(10, 15):
        put(root, f"hd1k_input/image_2/000001_{n:04d}.png")
    # Frames 11 and 14 of the second sequence have no ground truth.
    put(root, *(f"hd1k_flow_gt/flow_occ/000001_{n:04d}.png" for n in (10, 12, 13)))
    return put(root, *(f"hd1k_challenge/image_2/000002_{n}.png" for n in (10, 11)))


MAKERS = {
    "flying_chairs": chairs,
    "flying_things3d": things,
    "sintel": sintel,
    "kitti2012": lambda root: kitti(root, ("colored_0", "image_0")),
    "kitti2015": kitti,
    "middlebury": middlebury,
    "hd1k": hd1k,
}


def frame_numbers(sample):
    return [round(255 * float(image.mean())) for image in (sample.image1, sample.image2)]


@pytest.mark.parametrize("name", FLOW_DATASETS)
def test_every_data_set_is_a_lazy_sequence_of_samples(tmp_path, name, monkeypatch):
    dataset = open_flow_dataset(name, str(MAKERS[name](tmp_path)))
    assert len(dataset) == len(dataset.names) == len(set(dataset.names)) >= 2
    assert dataset.has_flow
    for index, sample in enumerate(dataset):
        assert sample.name == dataset.names[index]
        assert sample.image1.shape == sample.image2.shape == (*SIZE, 3)
        assert sample.flow.shape == (*SIZE, 2)
        assert sample.valid.shape == (*SIZE, 1)
        assert {array.dtype.name for array in sample[:4]} == {"float32"}
        assert sample.flow[-1, -1].tolist() == [number_of(dataset.files[index].flow.stem), -1]
    assert dataset[-1].name == dataset.names[-1]
    with pytest.raises(IndexError, match=f"Received: {len(dataset)}"):
        dataset[len(dataset)]
    monkeypatch.setattr("c2f_zoo.data.flow.folders.load_image", None)  # slicing decodes nothing
    part = dataset[1:]
    assert isinstance(part, FLOW_DATASETS[name])
    assert part.names == dataset.names[1:]
    assert pickle.loads(pickle.dumps(part)).files == part.files
    assert f"{len(part)} samples in {tmp_path}" in repr(part)


@pytest.mark.parametrize("name", sorted(set(FLOW_DATASETS) - {"flying_chairs"}))
def test_a_test_split_has_no_flow_unless_it_is_public(tmp_path, name):
    root = MAKERS[name](tmp_path)
    if name == "flying_things3d":
        things(root, "TEST")
        assert FlyingThings3D(root, split="test")[0].flow is not None
    else:
        dataset = open_flow_dataset(name, root, split="test")
        assert not dataset.has_flow
        sample = dataset[0]
        assert sample.image1.shape == (*SIZE, 3)
        assert sample.flow is sample.valid is sample.occlusion is None


@pytest.mark.parametrize("name", FLOW_DATASETS)
def test_a_missing_folder_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="does not exist. Received: .*nowhere"):
        open_flow_dataset(name, tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="Received: .*file"):
        open_flow_dataset(name, tmp_path / "file")


@pytest.mark.parametrize("name", FLOW_DATASETS)
def test_another_layout_says_what_was_expected_and_found(tmp_path, name):
    with pytest.raises(
        FileNotFoundError, match=f"expected the folder .*Received: {tmp_path} .*empty"
    ):
        open_flow_dataset(name, tmp_path)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "cat.jpg").touch()
    with pytest.raises(FileNotFoundError, match="which holds cat.jpg, holiday/"):
        open_flow_dataset(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "missing", "received"),
    [
        (
            "flying_chairs",
            "data/00002_img2.ppm",
            "1 incomplete samples: 00002 lacks 00002_img2.ppm",
        ),
        ("flying_chairs", "data/00002_flow.flo", "00002 lacks 00002_flow.flo"),
        (
            "flying_things3d",
            "frames_cleanpass/TRAIN/A/0000/left/0006.png",
            "clean/A/0000/left/into_future: the pair at frame 6 lacks frame 6",
        ),
        (
            "flying_things3d",
            "optical_flow/TRAIN/A/0000/into_past/left/OpticalFlowIntoPast_0007_L.pfm",
            "clean/A/0000/left/into_past: the pair at frame 7 lacks its flow",
        ),
        (
            "sintel",
            "training/clean/alley_1/frame_0003.png",
            "clean/alley_1: the pair at frame 2 lacks frame 3",
        ),
        (
            "sintel",
            "training/flow/bamboo_2/frame_0001.flo",
            "clean/bamboo_2: the pair at frame 1 lacks its flow",
        ),
        ("kitti2012", "training/colored_0/000001_11.png", "000001 lacks colored_0/000001_11.png"),
        ("kitti2015", "training/flow_occ/000000_10.png", "000000 lacks flow_occ/000000_10.png"),
        ("middlebury", "other-data/Venus/frame11.png", "Venus lacks other-data/Venus/frame11.png"),
        ("middlebury", "other-gt-flow/Venus/flow10.flo", "Venus lacks other-gt-flow/Venus/flow10"),
        (
            "hd1k",
            "hd1k_input/image_2/000001_0012.png",
            "000001: the pair at frame 12 lacks frame 12",
        ),
    ],
)
def test_half_missing_pairs_are_named(tmp_path, name, missing, received):
    root = MAKERS[name](tmp_path)
    (root / missing).unlink()
    with pytest.raises(FileNotFoundError, match=received):
        open_flow_dataset(name, root)


def test_many_missing_files_are_counted_and_the_first_named(tmp_path):
    root = chairs(tmp_path, range(1, 21))
    for n in range(1, 21):
        (root / f"data/{n:05d}_img1.ppm").unlink()
    with pytest.raises(FileNotFoundError, match="20 incomplete samples: 00001 .*and 12 more"):
        FlyingChairs(root)


def test_frames_of_different_sizes_are_named(tmp_path):
    root = chairs(tmp_path)
    save_image(root / "data/00002_img2.ppm", np.zeros((4, 7, 3)))
    dataset = FlyingChairs(root)
    with pytest.raises(ValueError, match="00002_img1.ppm 6x4 and .*00002_img2.ppm 7x4"):
        dataset[1]
    write_flow(root / "data/00003_flow.flo", np.zeros((5, 6, 2)))
    with pytest.raises(ValueError, match="00003_flow.flo 6x5"):
        dataset[2]


def test_chairs_open_from_the_release_its_data_or_its_parent(tmp_path):
    root = chairs(tmp_path / "FlyingChairs_release")
    names = FlyingChairs(root).names
    assert names == ("00001", "00002", "00003")
    assert FlyingChairs(root / "data").names == FlyingChairs(tmp_path).names == names


def test_chairs_follow_the_official_split(tmp_path):
    root = chairs(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"FlyingChairs_train_val\.txt"):
        FlyingChairs(root, split="train")
    (root / "FlyingChairs_train_val.txt").write_text("1\n2\n1\n1\n")
    assert FlyingChairs(root, split="train").names == ("00001", "00003")
    assert FlyingChairs(root / "data", split="val").names == ("00002",)
    assert len(FlyingChairs(root)) == 3
    for text in ("1\n2\n", "1\n0\n1\n", "<html>"):
        (root / "FlyingChairs_train_val.txt").write_text(text)
        with pytest.raises(ValueError, match=r"train_val\.txt: expected a 1 or a 2.*Received: "):
            FlyingChairs(root, split="val")


def test_things_flow_into_the_past_leads_to_the_frame_before(tmp_path):
    root = things(tmp_path)
    dataset = FlyingThings3D(root)
    assert dataset.names == tuple(
        f"clean/A/0000/left/{name}"
        for name in ("into_future/0006", "into_future/0007", "into_past/0007", "into_past/0008")
    )
    assert [frame_numbers(sample) for sample in dataset] == [[6, 7], [7, 8], [7, 6], [8, 7]]
    assert len(FlyingThings3D(root, pass_name="both", camera="both")) == 16
    right = FlyingThings3D(root, pass_name="final", direction="into_future", camera="right")
    assert right.names[0] == "final/A/0000/right/into_future/0006"


def test_things_leave_out_absurd_motions(tmp_path):
    root = things(tmp_path)
    flow = np.zeros((*SIZE, 2))
    flow[0, 0] = 5000, 0
    flow[0, 1] = 0, -1001
    write_flow(
        root / "optical_flow/TRAIN/A/0000/into_future/left/OpticalFlowIntoFuture_0006_L.pfm", flow
    )
    assert FlyingThings3D(root)[0].valid[0, :3, 0].tolist() == [0, 0, 1]
    assert FlyingThings3D(root, max_motion=None)[0].valid.all()


def test_sintel_pairs_frames_within_a_scene(tmp_path):
    root = sintel(tmp_path)
    dataset = Sintel(root)
    names = ("alley_1/frame_0001", "alley_1/frame_0002", "bamboo_2/frame_0001")
    assert dataset.names == tuple(f"clean/{name}" for name in names)
    assert [frame_numbers(sample) for sample in dataset] == [[1, 2], [2, 3], [1, 2]]
    both = Sintel(root / "training", pass_name="both")
    assert both.names == tuple(f"{one}/{name}" for one in ("clean", "final") for name in names)
    assert Sintel(root / "test", split="test").names == ("clean/cave_3/frame_0001",)


def test_sintel_masks_occlusions_and_on_request_invalid_pixels(tmp_path):
    root = sintel(tmp_path)
    sample = Sintel(root)[0]
    assert sample.valid.all()
    assert sample.occlusion[0, :, 0].tolist() == [0, 1, 0, 0, 0, 0]
    sample = Sintel(root, exclude_invalid=True)[0]
    assert sample.valid[0, :, 0].tolist() == [0, 1, 1, 1, 1, 1]
    for path in [*root.rglob("occlusions/*/*.png"), *root.rglob("invalid/*/*.png")]:
        path.unlink()
    assert Sintel(root)[0].occlusion is None
    with pytest.raises(FileNotFoundError, match=r"Received: no .*invalid"):
        Sintel(root, exclude_invalid=True)


def test_the_training_folder_does_not_pass_for_the_test_split(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the folder"):
        Sintel(sintel(tmp_path) / "training", split="test")
    with pytest.raises(FileNotFoundError, match="expected the folder"):
        KITTI2015(kitti(tmp_path) / "testing", split="train")


def test_kitti_knows_occlusion_from_its_two_flow_maps(tmp_path):
    root = kitti(tmp_path)
    sample = KITTI2015(root)[1]
    assert sample.valid.all()
    assert sample.occlusion[:, 0, 0].tolist() == [1, 0, 0, 0]
    sample = KITTI2015(root / "training", flow="noc")[1]
    assert sample.valid[:, 0, 0].tolist() == [0, 1, 1, 1]
    assert sample.occlusion is None


def test_kitti_2012_reads_colour_or_grey(tmp_path):
    root = MAKERS["kitti2012"](tmp_path)
    assert KITTI2012(root).files[0].image1.parent.name == "colored_0"
    assert KITTI2012(root, colored=False).files[0].image1.parent.name == "image_0"


def test_middlebury_passes_over_scenes_without_ground_truth(tmp_path):
    assert Middlebury(middlebury(tmp_path)).names == ("RubberWhale", "Venus")


def test_hd1k_needs_both_a_flow_and_a_next_frame(tmp_path):
    dataset = HD1K(hd1k(tmp_path))
    expected = "000000_0000 000000_0001 000001_0010 000001_0012 000001_0013"
    assert " ".join(dataset.names) == expected
    assert frame_numbers(dataset[3]) == [number_of("000001_0012"), number_of("000001_0013")]


@pytest.mark.parametrize("name", ["FlyingChairs", "flying-chairs", "FLYING CHAIRS"])
def test_names_are_forgiving(tmp_path, name):
    assert isinstance(open_flow_dataset(name, chairs(tmp_path)), FlyingChairs)


def test_an_unknown_name_lists_all(tmp_path):
    with pytest.raises(ValueError, match="Received: 'kitty'") as caught:
        open_flow_dataset("kitty", tmp_path)
    assert all(name in str(caught.value) for name in FLOW_DATASETS)


@pytest.mark.parametrize("name", FLOW_DATASETS)
def test_an_unknown_split_lists_all(tmp_path, name):
    with pytest.raises(ValueError, match="split must be one of .*'train'.*Received: 'everything'"):
        open_flow_dataset(name, MAKERS[name](tmp_path), split="everything")


def test_an_unknown_pass_lists_all(tmp_path):
    with pytest.raises(ValueError, match="'clean', 'final', 'both'. Received: 'albedo'"):
        Sintel(sintel(tmp_path), pass_name="albedo")


def test_the_real_chairs_open(shared_data):
    dataset = FlyingChairs(shared_data / "flow/FlyingChairs_release")
    assert len(dataset) == 9
    sample = dataset[0]
    assert sample.image1.shape == (384, 512, 3)
    path = Path(shared_data, "flow/FlyingChairs_release/data/00001_img2.ppm")
    np.testing.assert_array_equal(sample.image2, load_image(path))
    np.testing.assert_array_equal(sample.flow, read_flow(path.with_name("00001_flow.flo"))[0])


def test_real_sintel_opens_with_its_masks(shared_data):
    sample = Sintel(shared_data / "flow/sintel", pass_name="final", exclude_invalid=True)[0]
    assert sample.name == "final/alley_1/frame_0002"
    assert sample.flow.shape == (436, 1024, 2)
    assert 0.01 < sample.occlusion.mean() < 0.04
    assert 0.999 < sample.valid.mean() < 1


def test_real_kitti_opens(shared_data):
    sample = KITTI2015(shared_data / "flow/KITTI-2015")[0]
    assert sample.image1.shape == (375, 1242, 3)
    assert 0.1 < sample.valid.mean() < 0.5
    assert np.linalg.norm(sample.flow, axis=-1).max() > 20
