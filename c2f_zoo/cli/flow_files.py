"""Files that `c2f flow` writes: the flow, and what comes with it by an option."""

from c2f_zoo.cli.common import UsageError, note

# Suffix of the flow file by format. A KITTI file is a png, and must not take an image's name.
FLOW_FILES = {"flo": ".flo", "kitti": "_kitti.png", "pfm": ".pfm"}
# Suffixes of what comes with the flow, by option.
CHECK_FILES = {
    "confidence": ("_confidence.png", "_occlusion.png"),
    "uncertainty": ("_uncertainty.png", "_uncertainty.pfm"),
}


def asked_check(arguments):
    """`"confidence"`, `"uncertainty"` or None, as the command line asks."""
    asked = [name for name in CHECK_FILES if getattr(arguments, name)]
    if len(asked) > 1:
        raise UsageError("Give --confidence or --uncertainty. Received: both")
    return asked[0] if asked else None


def check_files(stem, arguments):
    """Names of the files of `asked_check`, after the stem of the flow file."""
    return [f"{stem}{suffix}" for suffix in CHECK_FILES.get(asked_check(arguments), ())]


def check_options(model, arguments):
    """Options of `flow` and `flow_stream` that the command line asks for."""
    if arguments.uncertainty and not getattr(model, "mixture", False):
        raise UsageError(
            "--uncertainty is for networks that estimate it, such as RAFT lite. "
            f"Received: a {type(model).__name__} without"
        )
    asked = asked_check(arguments)
    return {asked: True} if asked else {}


def parts(result, arguments):
    """The flow (H, W, 2), and what goes to the `check_files`, arrays (H, W, 1)."""
    asked = asked_check(arguments)
    if asked is None:
        return result, []
    flow, *checked = result
    # The least error that a network can expect is a pixel.
    return flow, [1 / checked[0], *checked] if asked == "uncertainty" else checked


def summary(checked, arguments):
    """Lines of the report about what comes with the flow."""
    if arguments.confidence:
        return [f"confirmed: {1 - checked[1].mean():.1%}"]
    return [f"expected error: mean {checked[1].mean():.2f} px"] if arguments.uncertainty else []


def write_checks(files, checked):
    """Write what `parts` gave besides the flow."""
    from c2f_zoo.data.files.images import save_image
    from c2f_zoo.data.files.pfm import write_pfm

    for file, image in zip(files, checked, strict=True):
        (write_pfm if file.endswith(".pfm") else save_image)(file, image)


def write_flow(file, flow):
    """Write a flow file; return the number of pixels that its format cannot hold.

    They are marked as unknown: a clipped motion would be taken for a true one.
    """
    from c2f_zoo.data.files import flow as flow_files
    from c2f_zoo.data.files.kitti_png import holds_flow

    valid = holds_flow(flow) if file.endswith(".png") else None
    flow_files.write_flow(file, flow, valid)
    return 0 if valid is None else int((~valid).sum())


def note_lost(count, place):
    """Say how many pixels `write_flow` could not keep."""
    if count:
        note(
            f"{count} pixels are marked as unknown in {place}: a KITTI file holds motions below "
            "512 px. --format flo or pfm keeps them"
        )
