from .card import render_card as render_card
from .download import read_metadata as read_metadata
from .errors import (
    PresetError as PresetError,
)
from .errors import (
    PresetNotFoundError as PresetNotFoundError,
)
from .errors import (
    PresetSaveError as PresetSaveError,
)
from .presets import PresetMixin as PresetMixin
from .presets import load as load
from .presets import save_preset as save_preset
from .publishing import push as push
from .registry import (
    TASKS as TASKS,
)
from .registry import (
    register_model as register_model,
)
from .registry import (
    registered_models as registered_models,
)
from .resolving import (
    HUB_ORGANISATION as HUB_ORGANISATION,
)
from .resolving import (
    PresetInfo as PresetInfo,
)
from .resolving import (
    PresetSource as PresetSource,
)
from .resolving import (
    list_presets as list_presets,
)
from .resolving import (
    resolve as resolve,
)
from .torch_files import (
    read_torch_checkpoint as read_torch_checkpoint,
)
from .torch_files import (
    read_torchscript as read_torchscript,
)
from .weights import load_weights as load_weights
