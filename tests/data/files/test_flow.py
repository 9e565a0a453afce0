import errno
import os
import time

import numpy as np
import pytest

from c2f_zoo.data import (
    KITTI_FLOW_RANGE,
    UNKNOWN_FLOW,
    read_flo,
    read_flow,
    read_kitti_flow,
    read_pfm,
    write_flo,
    write_flow,
    write_kitti_flow,
    write_pfm,
)

pytestmark = pytest.mark.backend_free

EXTENSIONS = [".flo", ".png", ".pfm"]


@pytest.fixture
def flow(rng):
    # Multiples of 1/64, so that a KITTI file holds them exactly.
    return (rng.integers(-3000, 3000, (5, 7, 2)) / 64).astype(np.float32)


@pytest.fixture
def valid(rng):
    return (rng.random((5, 7, 1)) < 0.5).astype(np.float32)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_flow_survives_the_round_trip_exactly(tmp_path, flow, extension):
    write_flow(tmp_path / f"a{extension}", flow)
    again, valid = read_flow(str(tmp_path / f"a{extension}"))
    np.testing.assert_array_equal(again, flow)
    assert again.dtype == valid.dtype == np.float32
    assert valid.shape == (5, 7, 1)
    assert valid.all()


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_unknown_pixels_are_masked_and_read_as_zero(tmp_path, flow, valid, extension):
    flow = np.where(valid > 0, flow, np.float32(np.nan))
    for mask in (valid, valid[..., 0], valid.astype(bool)):
        write_flow(tmp_path / f"a{extension}", flow, mask)
        again, known = read_flow(tmp_path / f"a{extension}")
        np.testing.assert_array_equal(known, valid)
        np.testing.assert_array_equal(again, np.where(valid > 0, flow, 0))


def test_the_bytes_of_a_flo_file_are_those_of_the_format(tmp_path):
    write_flo(tmp_path / "a.flo", np.array([[[1.0, -2.0], [0.5, 0.0]]]))
    data = (tmp_path / "a.flo").read_bytes()
    assert np.frombuffer(data[:4], "<f4")[0] == np.float32(202021.25)
    assert np.frombuffer(data[4:12], "<i4").tolist() == [2, 1]
    assert np.frombuffer(data[12:], "<f4").tolist() == [1.0, -2.0, 0.5, 0.0]


def test_flo_marks_unknown_motion_as_middlebury_does(tmp_path, flow, valid):
    write_flo(tmp_path / "a.flo", flow, valid)
    stored = read_flo(tmp_path / "a.flo")
    assert (stored[valid[..., 0] == 0] == np.float32(UNKNOWN_FLOW)).all()
    stored[0, 0] = np.nan, 1
    stored[0, 1] = 1, -2e9
    stored[0, 2] = 1, 1e8
    (tmp_path / "b.flo").write_bytes((tmp_path / "a.flo").read_bytes()[:12] + stored.tobytes())
    read, known = read_flow(tmp_path / "b.flo")
    assert known[0, :3, 0].tolist() == [0, 0, 1]
    assert read[0, :2].tolist() == [[0, 0], [0, 0]]


def test_a_damaged_flo_file_names_itself_and_the_sizes(tmp_path, flow):
    path = tmp_path / "a.flo"
    write_flo(path, flow)
    data = path.read_bytes()
    cases = {
        data[:-1]: r"truncated: 7x5 takes 292 bytes. Received: 291 bytes",
        data + b"\0": r"too long: 7x5 takes 292 bytes. Received: 293 bytes",
        data[:9]: r"header of 12 bytes. Received: 9 bytes",
        b"": r"starts with b'PIEH'. Received: 0 bytes that start with b''",
        b"HEIP" + data[4:]: r"Received: 292 bytes that start with b'HEIP'",
        b"PIEH" + b"\xff" * 8: r"Received: -1x-1",
        b"PIEH" + b"\xff\xff\xff\x7f" * 2: r"impossible. Received: 2147483647x2147483647",
    }
    for damaged, message in cases.items():
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"a\.flo: .*{message}"):
            read_flo(path)


def test_kitti_stores_offset_64ths_and_a_mask(tmp_path):
    flow = np.array([[[1.0, -2.0], [511.984375, -512.0], [3.0, 4.0]]])
    write_kitti_flow(tmp_path / "a.png", flow, np.array([[1, 1, 0]]))
    from c2f_zoo.data.files.png16 import decode_png16

    pixels = decode_png16((tmp_path / "a.png").read_bytes())
    assert pixels[0].tolist() == [[32768 + 64, 32768 - 128, 1], [65535, 0, 1], [0, 0, 0]]


def test_kitti_rounds_to_the_nearest_64th(tmp_path, rng):
    flow = rng.uniform(-500, 500, (20, 30, 2))
    write_kitti_flow(tmp_path / "a.png", flow)
    again, _ = read_kitti_flow(tmp_path / "a.png")
    error = np.abs(again - flow)
    assert error.max() <= 1 / 128 + 1e-4
    assert error.mean() == pytest.approx(1 / 256, rel=0.1)


def test_kitti_refuses_or_clips_what_16_bits_cannot_hold(tmp_path):
    low, high = KITTI_FLOW_RANGE
    flow = np.array([[[600.0, 0.0], [-0.0, -700.0]]])
    with pytest.raises(ValueError, match=r"from -512.0 to 511.984375.*Received: -700 to 600"):
        write_kitti_flow(tmp_path / "a.png", flow)
    assert not list(tmp_path.iterdir())
    write_kitti_flow(tmp_path / "a.png", flow, valid=np.zeros((1, 2)))  # unknown: no matter
    write_kitti_flow(tmp_path / "a.png", flow, saturate=True)
    assert read_kitti_flow(tmp_path / "a.png")[0].tolist() == [[[high, 0], [0, low]]]


def test_an_8_bit_picture_is_not_taken_for_a_kitti_flow(tmp_path):
    from PIL import Image

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: expected a 16-bit RGB PNG. Received: 8-bit RGB"):
        read_flow(tmp_path / "a.png")


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_pfm_survives_the_round_trip_exactly(tmp_path, rng, shape, byte_order):
    array = rng.normal(size=shape).astype(np.float32)
    array[0, 0] = np.inf
    write_pfm(tmp_path / "a.pfm", array, byte_order)
    again = read_pfm(tmp_path / "a.pfm")
    np.testing.assert_array_equal(again, array)
    assert again.dtype == np.float32
    assert again.dtype.isnative


def test_pfm_runs_from_the_bottom_up(tmp_path):
    write_pfm(tmp_path / "a.pfm", np.array([[1.0, 2.0], [3.0, 4.0]])[..., None])
    data = (tmp_path / "a.pfm").read_bytes()
    assert data[:14] == b"Pf\n2 2\n-1.0\n" + np.float32(3).tobytes()[:2]
    assert np.frombuffer(data[12:], "<f4").tolist() == [3, 4, 1, 2]


@pytest.mark.parametrize(
    "header", [b"Pf\n2 1\n1.0\n", b"Pf 2 1 1\n", b"Pf\r\n2 1\r\n1e0\r\n", b"Pf\n2\n1\n+0.5\n"]
)
def test_pfm_headers_vary(tmp_path, header):
    # The first byte of the pixels is a line feed, which must not be taken for the header's.
    pixels = np.frombuffer(b"\n\x20\n\x20\x0d\x0a\x00\x01", ">f4")
    (tmp_path / "a.pfm").write_bytes(header + pixels.tobytes())
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), pixels[None])


def test_a_damaged_pfm_file_names_itself_and_the_sizes(tmp_path):
    path = tmp_path / "a.pfm"
    write_pfm(path, np.zeros((2, 3, 3)))
    data = path.read_bytes()
    cases = {
        data[:-4]: r"truncated: 3x2 with 3 channels takes 84 bytes. Received: 80 bytes",
        data + b"\0": r"too long.*Received: 85 bytes",
        b"P6" + data[2:]: r"starts with PF or Pf.*Received: 84 bytes that start with b'P6",
        data[:4]: r"Received: 4 bytes that start with b'PF",
        b"PF\n3 2\n0.0\n" + data[12:]: r"a scale other than 0",
        b"PF\n3 2\n-+-\n" + data[12:]: r"starts with PF or Pf",
        b"PF\n0 2\n-1\n": r"empty. Received: 0x2",
        b"": r"Received: 0 bytes",
    }
    for damaged, message in cases.items():
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"a\.pfm: .*{message}"):
            read_pfm(path)


def test_a_grey_pfm_is_no_flow(tmp_path):
    write_pfm(tmp_path / "a.pfm", np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"a\.pfm: .*Received: a grey one"):
        read_flow(tmp_path / "a.pfm")


def test_pfm_refuses_other_shapes_and_byte_orders(tmp_path):
    with pytest.raises(ValueError, match=r"Received: shape \(2, 3, 2\)"):
        write_pfm(tmp_path / "a.pfm", np.zeros((2, 3, 2)))
    with pytest.raises(ValueError, match="Received: 'middle'"):
        write_pfm(tmp_path / "a.pfm", np.zeros((2, 3)), "middle")


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(
    ("flow", "valid", "received"),
    [
        (np.zeros((4, 6, 3)), None, r"Received: shape \(4, 6, 3\)"),
        (np.zeros((1, 4, 6, 2)), None, r"Received: shape \(1, 4, 6, 2\)"),
        (np.zeros((0, 6, 2)), None, r"Received: shape \(0, 6, 2\)"),
        (np.zeros((4, 6, 2), complex), None, "dtype complex128"),
        (np.full((4, 6, 2), np.nan), None, "Received: 48 values that are NaN or inf"),
        (np.full((4, 6, 2), np.inf), np.eye(4, 6), "Received: 8 values"),
        (np.zeros((4, 6, 2)), np.ones((6, 4)), r"Received: shape \(6, 4\)"),
    ],
)
def test_what_is_no_flow_is_not_written(tmp_path, extension, flow, valid, received):
    with pytest.raises(ValueError, match=received):
        write_flow(tmp_path / f"a{extension}", flow, valid)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, flow, monkeypatch, extension):
    path = tmp_path / f"a{extension}"
    write_flow(path, flow)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=rf"No space left on device.*a\{extension}"):
        write_flow(path, flow + 1)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_missing_files_and_folders_are_named(tmp_path, flow, extension):
    with pytest.raises(FileNotFoundError, match=rf"nothing\{extension}"):
        read_flow(tmp_path / f"nothing{extension}")
    with pytest.raises(FileNotFoundError, match="folder .*nowhere"):
        write_flow(tmp_path / "nowhere" / f"a{extension}", flow)


def test_other_extensions_are_refused(tmp_path, flow):
    for call in (read_flow, lambda path: write_flow(path, flow)):
        with pytest.raises(ValueError, match=r"\.flo, \.png .*Received: .*a\.jpg"):
            call(tmp_path / "a.jpg")


def test_a_zero_flow_misses_the_real_chairs_by_ten_pixels(shared_data):
    errors = []
    for path in sorted((shared_data / "flow/FlyingChairs_release/data").glob("*.flo")):
        flow, valid = read_flow(path)
        assert flow.shape == (384, 512, 2)
        assert valid.all()
        errors.append(np.linalg.norm(flow, axis=-1).mean())
    assert len(errors) == 9
    assert np.mean(errors) == pytest.approx(10.5, abs=0.1)


def test_a_real_kitti_flow_reads_and_writes_as_published(tmp_path, shared_data):
    source = shared_data / "flow/KITTI-2015/training/flow_occ/000000_10.png"
    started = time.perf_counter()
    flow, valid = read_kitti_flow(source)
    assert time.perf_counter() - started < 1
    assert flow.shape == (375, 1242, 2)
    assert 0.1 < valid.mean() < 0.5
    write_kitti_flow(tmp_path / "a.png", flow, valid)
    again, known = read_kitti_flow(tmp_path / "a.png")
    np.testing.assert_array_equal(again, flow)
    np.testing.assert_array_equal(known, valid)


def test_a_real_kitti_flow_equals_what_opencv_reads(shared_data):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    source = shared_data / "flow/KITTI-2015/training/flow_occ/000000_10.png"
    blue_green_red = cv2.imread(str(source), cv2.IMREAD_UNCHANGED).astype(np.float32)
    flow, valid = read_kitti_flow(source)
    known = blue_green_red[..., :1] > 0
    expected = (blue_green_red[..., [2, 1]] - 2**15) / 64
    np.testing.assert_array_equal(valid, known)
    np.testing.assert_array_equal(flow, np.where(known, expected, 0))


def test_a_real_pfm_reads(shared_data):
    path = next((shared_data / "stereo/middlebury").rglob("disp0GT.pfm"))
    disparity = read_pfm(path)
    assert disparity.ndim == 2
    assert np.isinf(disparity).any()
    assert np.isfinite(disparity).mean() > 0.5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path, extension):
    os.mkfifo(tmp_path / f"a{extension}")
    with pytest.raises(ValueError, match=rf"not a pipe.*Received: .*a\{extension}"):
        read_flow(tmp_path / f"a{extension}")
