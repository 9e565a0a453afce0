from .callback import ResolutionCurriculum as ResolutionCurriculum
from .fixres import only_head_trainable as only_head_trainable
from .layerwise import LayerwiseCurriculum as LayerwiseCurriculum
from .resize import resize_batch as resize_batch
from .schedule import ResolutionSchedule as ResolutionSchedule
from .states import ResolutionStage as ResolutionStage, ResolutionState as ResolutionState
from .stream import ResolutionStream as ResolutionStream
