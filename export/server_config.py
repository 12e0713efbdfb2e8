"""What to serve: a ModelServerConfig in protobuf's text format, as the model server reads it."""

from __future__ import annotations

import pathlib
from collections.abc import Collection
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bert_keras.errors import UserError
from bert_keras.export.status import Code, StatusError
from bert_keras.export.versions import ModelConfig, VersionPolicy

_PLATFORM = "tensorflow"


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
    config = parse_model_config_file(path)
    if not config.HasField("model_config_list"):
        raise UserError(f"{path}: expected model_config_list")
    try:
        models = model_configs(config.model_config_list)
    except StatusError as error:
        raise UserError(f"{path}: {error.message}") from error
    for model in models:
        if model.labels and not allow_labels:
            label, version = sorted(model.labels.items())[0]
            raise UserError(
                f"{path}: {label_unavailable(model.name, version)} (label {label!r}; pass"
                " --allow_version_labels_for_unavailable_models)"
            )
    return models


def parse_model_config_file(path: pathlib.Path) -> model_server_config_pb2.ModelServerConfig:
    """The message in a file for `--model_config_file`.

    Raises:
        UserError: the file cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--model_config_file={path}: cannot be read: {error}") from error
    try:
        return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except text_format.ParseError as error:
        where = f"{path}:{error.GetLine()}" if error.GetLine() else str(path)
        raise UserError(
            f"{where}: Error parsing text-format tensorflow.serving.ModelServerConfig: {error}"
        ) from error


def model_configs(
    models: model_server_config_pb2.ModelConfigList, served: Collection[str] = ()
) -> list[ModelConfig]:
    """The models of a config list, checked as the model server checks it.

    Args:
        served: the models that are served already, and so cannot get another platform.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    names = [model.name for model in models.config]
    for name in names:
        if names.count(name) > 1:
            message = f"Illegal to list model {name} multiple times in config list"
            raise StatusError(Code.INVALID_ARGUMENT, message)
    configs = [_model(model) for model in models.config]
    for model in models.config:
        _check_platform(model, served)
    return configs


def label_unavailable(name: str, version: int) -> str:
    """The message for a label whose version does not answer."""
    return (
        f"Request to assign label to version {version} of model {name}, which is not currently"
        " available for inference"
    )


def _model(model: model_server_config_pb2.ModelConfig) -> ModelConfig:
    if not pathlib.PurePath(model.base_path).is_absolute():
        raise StatusError(
            Code.INVALID_ARGUMENT,
            f"Expected model {model.name} to have an absolute path or URI; got"
            f" base_path()={model.base_path}",
        )
    return ModelConfig(
        model.name,
        pathlib.Path(model.base_path),
        _policy(model.model_version_policy, f"model {model.name}"),
        dict(model.version_labels),
    )


def _check_platform(model: model_server_config_pb2.ModelConfig, served: Collection[str]) -> None:
    """`model_type` is the old way to say it; exactly one of the two must be there."""
    platform = model.model_platform
    both = "ModelServerConfig::model_type (deprecated)", "ModelServerConfig::model_platform"
    if model.model_type and platform:
        message = f"Illegal setting both {' and '.join(both)}, model name is {model.name}"
    elif model.model_type == model_server_config_pb2.TENSORFLOW or platform == _PLATFORM:
        return
    elif model.model_type:
        message = f"ModelServerConfig::model_type choice {model.model_type} not supported."
    elif not platform:
        message = f"Illegal setting neither {' nor '.join(both)}, model name is {model.name}"
    elif model.name in served:
        message = (
            f"Illegal to change a model's platform. For model {model.name} platform was"
            f" {_PLATFORM} and new platform requested is {platform}"
        )
    else:
        message = f"Model {model.name} requests unsupported platform {platform}"
    raise StatusError(Code.INVALID_ARGUMENT, message)


def _policy(policy: Any, where: str) -> VersionPolicy:
    """From FileSystemStoragePathSourceConfig.ServableVersionPolicy, whose class is nested."""
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return VersionPolicy(latest=None)
    if kind == "specific":
        if not policy.specific.versions:
            message = f"{where}: model_version_policy specific names no versions"
            raise StatusError(Code.INVALID_ARGUMENT, message)
        return VersionPolicy(specific=tuple(policy.specific.versions))
    return VersionPolicy(latest=policy.latest.num_versions or 1)
