"""What a model needs to be loaded from a preset, saved as one and pushed to the Hub."""

import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import keras

from c2f_zoo import hosts
from c2f_zoo.hub.loading import load_as, split_options
from c2f_zoo.hub.publishing import Push, check_repo_id, push
from c2f_zoo.hub.saving import save_preset


class PresetMixin:
    """Adds `from_pretrained`, `save_pretrained` and `push_to_hub` to a registered `keras.Model`.

    `get_config()` must return the constructor's arguments as plain data, and the variables must
    exist after construction, or Keras must be able to build the model from the input shape.
    `preset_defaults` may hold metadata that every preset of the class shares, such as `paper`,
    `input` and `output` (keys of `c2f_zoo.hub.metadata.FIELDS`).

    Example:
        >>> from c2f_zoo.hub import register_model
        >>> @register_model(task="optical_flow")
        ... class Constant(PresetMixin, keras.Model):
        ...     def __init__(self, value=0.0, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.value = value
        ...         self.built = True
        ...     def get_config(self):
        ...         return {**super().get_config(), "value": self.value}
        >>> import tempfile
        >>> folder = Constant(2.0).save_pretrained(tempfile.mkdtemp())
        >>> Constant.from_pretrained(folder).value
        2.0
    """

    preset_defaults: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def preset_class(cls, config: Mapping[str, Any]) -> tuple[type, Mapping[str, Any]]:
        """Return the class of a preset that names this class, and its constructor arguments.

        A class overrides this if presets were saved under its name that belong to another now.

        Args:
            config: Constructor arguments from the preset.

        Returns:
            The class to construct, and its arguments.
        """
        return cls, config

    @classmethod
    def preset_base(cls) -> type:
        """Return the class of which `from_pretrained` loads presets; by default this class.

        Returns:
            This class, or a base class, to load presets of the other subclasses too.
        """
        return cls

    def preset_network(self) -> keras.Model:
        """Return the part of the model that a preset stores; by default the model itself.

        Returns:
            A `keras.Model` over layers of this one.
        """
        return self

    def preset_loaded(self) -> None:
        """Called once a preset's weights are in `preset_network()`; does nothing by default."""

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike,
        /,
        *,
        dtype: Any = None,
        offline: bool | None = None,
        cache_dir: str | os.PathLike | None = None,
        **overrides: Any,
    ) -> Self:
        """Load a trained model.

        Args:
            name: A folder, a name shipped with the package, `hf://owner/repo[@revision]`, or a
                name published under the zoo's Hub organisation. What Keras itself saved of the
                class can be loaded too: a `.keras` file, or such a folder, also on the Hub.
            dtype: Precision to compute in, such as `"mixed_bfloat16"`, or a `keras.DTypePolicy`.
                Default: Keras' current policy.
            offline: Whether to use the Hub's cache alone. Default: as `HF_HUB_OFFLINE` says.
            cache_dir: Folder of the Hub's cache. Default: its usual place.
            **overrides: Constructor arguments that replace the preset's.

        Returns:
            Self: A built model with the preset's weights, not compiled.

        Raises:
            PresetNotFoundError: There is no preset of this name; the message lists those there are.
            PresetError: The preset is of another class, damaged or does not fit the overrides, or
                the Hub is out of reach.

        Example:
            >>> from c2f_zoo.models import PWCNetLite
            >>> PWCNetLite.from_pretrained("pwcnet_lite.scenes").built
            True
        """
        wanted = None if cls is PresetMixin else cls.preset_base()
        return load_as(wanted, name, offline, cache_dir, dtype, overrides)

    @classmethod
    def from_preset(
        cls, preset: str | os.PathLike, load_weights: bool = True, **kwargs: Any
    ) -> Self:
        """Load a trained model: `from_pretrained` as KerasHub spells it.

        Args:
            preset: As `name` of `from_pretrained`.
            load_weights: Whether to load the weights, or to leave the network untrained.
            **kwargs: Of `from_pretrained`: `dtype`, `offline`, `cache_dir`, or constructor
                arguments that replace the preset's.

        Returns:
            Self: A built model, not compiled.

        Raises:
            PresetNotFoundError, PresetError: As in `from_pretrained`.

        Example:
            >>> from c2f_zoo.models import PWCNetLite
            >>> PWCNetLite.from_preset("pwcnet_lite.scenes").built
            True
        """
        wanted = None if cls is PresetMixin else cls.preset_base()
        return load_as(wanted, preset, **split_options(kwargs), has_weights=load_weights)

    def save_pretrained(
        self,
        folder: str | os.PathLike,
        metadata: Mapping[str, Any] | None = None,
        precision: str = "float32",
        max_shard_size: float | None = None,
        pictures: Mapping[str, Any] | None = None,
        golden: bool = False,
    ) -> pathlib.Path:
        """Save the model as a preset: config, weights, metadata and model card.

        The folder is replaced as a whole: if anything goes wrong, it keeps what it held. Of several
        hosts that train together the first one writes.

        Args:
            folder: New or empty folder, or one that holds a preset to replace.
            metadata: What to say about the preset: keys of `c2f_zoo.hub.metadata.FIELDS`.
            precision: `"float32"`, or `"float16"` for files of half the size.
            max_shard_size: Largest size of a weights file in gigabytes. Default: one file.
            pictures: For the card: a caption and an image (H, W, 3), uint8 or float in [0, 1], by
                file name, such as `{"samples.png": ("16 samples", grid)}`.
            golden: Whether to apply the saved model to a fixed input and record some numbers of
                its output (`c2f_zoo.hub.golden`). It takes a forward pass, which a checkpoint in
                the midst of training does not need.

        Returns:
            pathlib.Path: The folder.

        Raises:
            ValueError: `precision` or `max_shard_size` is not allowed.
            PresetError: The model cannot be rebuilt from its config, or its weights do not fit.
            PresetSaveError: The folder cannot be written, or the disk is full.

        Example:
            >>> import tempfile
            >>> from c2f_zoo.models import PWCNetLite
            >>> folder = PWCNetLite().save_pretrained(tempfile.mkdtemp(), {"licence": "MIT"})
        """
        if not hosts.is_first_host():
            return pathlib.Path(folder)
        with hosts.on_this_host():
            return save_preset(self, folder, metadata, precision, max_shard_size, pictures, golden)

    def push_to_hub(
        self,
        repo_id: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        private: bool = False,
        revision: str | None = None,
        commit_message: str | None = None,
        token: str | None = None,
        dry_run: bool = False,
        **options: Any,
    ) -> Push:
        """Publish the model on the Hugging Face Hub: config, weights, metadata and card.

        They go in one commit, after a copy was built from them. `from_pretrained("hf://owner/name")`
        loads the model again, on any backend.

        Args:
            repo_id: Repository, `"owner/name"`, created if need be.
            metadata: As in `save_pretrained`. The preset's name is by default the repository's.
            private, revision, commit_message, token, dry_run: As in `c2f_zoo.hub.push`.
            **options: `precision`, `max_shard_size`, `pictures`, `golden` of `save_pretrained`.

        Returns:
            Push: The repository, its files, what changed, the commit.

        Raises:
            PresetError: The model cannot be saved as a preset, the name is not of the form
                owner/name, or the Hub refused or could not be reached.

        Example:
            >>> from c2f_zoo.models import PWCNetLite
            >>> PWCNetLite().push_to_hub("me/my_flow", {"licence": "MIT"}, dry_run=True).files
            ('README.md', 'config.json', 'metadata.json', 'model.weights.h5')
        """
        check_repo_id(repo_id)
        with tempfile.TemporaryDirectory() as home:
            folder = pathlib.Path(home) / repo_id.partition("/")[2]
            self.save_pretrained(folder, {"repo_id": repo_id, **(metadata or {})}, **options)
            return push(
                folder,
                repo_id,
                private=private,
                revision=revision,
                commit_message=commit_message,
                token=token,
                dry_run=dry_run,
            )
