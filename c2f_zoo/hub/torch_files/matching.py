"""Whether a checkpoint's tensors are those of a network."""

_MOST_LISTED = 8


def check_tensors(tensors, shapes, network, source):
    """Check that a checkpoint holds exactly the tensors of a network.

    Args:
        tensors: dict from name to array.
        shapes: dict from each tensor's name to its shape.
        network: Name of the network, for the message.
        source: Path of the checkpoint, for the message.

    Raises:
        ValueError: Tensors are missing, do not belong to the network or have another shape; the
            message lists them.

    Example:
        >>> check_tensors({"a": np.ones(2), "b": np.ones(3)}, {"a": (4,)}, "Net", "net.pth")
        Traceback (most recent call last):
            ...
        ValueError: The tensors must be those of the published Net; not of this network: b; of the \
wrong shape: a (2,) instead of (4,). Received: net.pth, with 2 tensors
    """
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    faults = {
        "missing": [name for name in shapes if name not in found],
        "not of this network": [name for name in found if name not in shapes],
        "of the wrong shape": [
            f"{name} {found[name]} instead of {shape}"
            for name, shape in shapes.items()
            if found.get(name, shape) != shape
        ],
    }
    listed = "; ".join(f"{fault}: {_listed(names)}" for fault, names in faults.items() if names)
    if listed:
        raise ValueError(
            f"The tensors must be those of the published {network}; {listed}. "
            f"Received: {source}, with {len(tensors)} tensors"
        )


def _listed(names):
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
