from .card import render_card as render_card
from .download import read_metadata as read_metadata
from .errors import (
    PresetError as PresetError,
    PresetNotFoundError as PresetNotFoundError,
    PresetSaveError as PresetSaveError,
)
from .loading import create_model as create_model, load as load
from .presets import PresetMixin as PresetMixin
from .publishing import Changes as Changes, Push as Push, compare as compare, push as push
from .registry import (
    TASKS as TASKS,
    register_model as register_model,
    registered_models as registered_models,
)
from .resolving import (
    HUB_ORGANISATION as HUB_ORGANISATION,
    PresetInfo as PresetInfo,
    PresetList as PresetList,
    PresetSource as PresetSource,
    list_presets as list_presets,
    resolve as resolve,
)
from .saving import save_preset as save_preset
from .torch_files import (
    read_torch_checkpoint as read_torch_checkpoint,
    read_torch_content as read_torch_content,
    read_torchscript as read_torchscript,
)
from .weights import load_weights as load_weights
