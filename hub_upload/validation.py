"""What a preset must fulfil before it is published."""

import pathlib
from typing import Any

from c2f_zoo.hub import PresetError, load, read_metadata
from c2f_zoo.hub.golden import check_golden
from c2f_zoo.hub.publishing import check_preset


def validate(folder: pathlib.Path) -> dict[str, Any]:
    """Return a preset's metadata, or raise PresetError if it may not be published.

    Schema and hashes hold, the card is that of the metadata, the licence and the terms and
    attributions of the training data are stated, and the weights load into a model that
    reproduces the golden output.
    """
    check_preset(folder)
    metadata = read_metadata(folder)
    if metadata.get("name") != folder.name:
        raise PresetError(
            f"{folder}: the preset must be named as its folder. Received: {metadata.get('name')!r}"
        )
    check_terms(metadata, str(folder))
    check_golden(load(folder, dtype="float32"), metadata, str(folder))
    return metadata


def check_terms(metadata: dict[str, Any], label: str) -> None:
    """Raise PresetError unless licence, training data and their attributions are stated."""
    if not (metadata.get("licence") or "").strip():
        raise PresetError(f"{label}: a licence must be stated. Received: none")
    if not metadata.get("training_data"):
        raise PresetError(f"{label}: the training data must be stated. Received: none")
    for entry in metadata["training_data"]:
        for key in ("licence", "attribution"):
            if not (entry.get(key) or "").strip():
                raise PresetError(
                    f"{label}: each of the training_data needs its {key}. "
                    f"Received: {entry['name']!r} without"
                )
