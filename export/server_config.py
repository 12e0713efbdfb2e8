"""What to serve: a ModelServerConfig in protobuf's text format, as the model server reads it."""

from __future__ import annotations

import pathlib
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bert_keras.errors import UserError
from bert_keras.export.versions import ModelConfig, VersionPolicy


def read_model_config_file(
    path: str | pathlib.Path, allow_labels: bool = False
) -> list[ModelConfig]:
    """The models of a file for `--model_config_file`.

    Args:
        allow_labels: accept version labels although no version is loaded yet, which the model
            server refuses at its start unless --allow_version_labels_for_unavailable_models.

    Raises:
        UserError: the file cannot be read or parsed, or a model in it cannot be served.
    """
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--model_config_file={path}: cannot be read: {error}") from error
    try:
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except text_format.ParseError as error:
        where = f"{path}:{error.GetLine()}" if error.GetLine() else str(path)
        raise UserError(f"{where}: not a ModelServerConfig: {error}") from error
    models = config.model_config_list.config
    if not models:
        raise UserError(f"{path}: expected model_config_list with at least one config")
    names = [model.name for model in models]
    for model in models:
        if names.count(model.name) > 1:
            raise UserError(
                f"{path}: Illegal to list model {model.name} multiple times in config list"
            )
    return [_model(model, path, allow_labels) for model in models]


def _model(
    model: model_server_config_pb2.ModelConfig, path: pathlib.Path, allow_labels: bool
) -> ModelConfig:
    if not pathlib.PurePath(model.base_path).is_absolute():
        raise UserError(
            f"{path}: Expected model {model.name} to have an absolute path or URI; got"
            f" base_path()={model.base_path}"
        )
    if model.model_platform != "tensorflow":
        raise UserError(
            f"{path}: model {model.name} has model_platform={model.model_platform!r}, expected"
            ' "tensorflow"'
        )
    if model.version_labels and not allow_labels:
        label, version = sorted(model.version_labels.items())[0]
        raise UserError(
            f"{path}: Request to assign label to version {version} of model {model.name},"
            f" which is not currently available for inference (label {label!r}; pass"
            " --allow_version_labels_for_unavailable_models)"
        )
    return ModelConfig(
        model.name,
        pathlib.Path(model.base_path),
        _policy(model.model_version_policy, f"{path}: model {model.name}"),
        dict(model.version_labels),
    )


def _policy(policy: Any, where: str) -> VersionPolicy:
    """From FileSystemStoragePathSourceConfig.ServableVersionPolicy, whose class is nested."""
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return VersionPolicy(latest=None)
    if kind == "specific":
        if not policy.specific.versions:
            raise UserError(f"{where}: model_version_policy specific names no versions")
        return VersionPolicy(specific=tuple(policy.specific.versions))
    return VersionPolicy(latest=policy.latest.num_versions or 1)
