"""What to serve: a ModelServerConfig in protobuf's text format, as the model server reads it."""

from __future__ import annotations

import pathlib
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bert_keras.errors import UserError
from bert_keras.export.status import Code, StatusError
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
    config = parse_model_config_file(path)
    try:
        models = model_configs(config.model_config_list)
    except StatusError as error:
        raise UserError(f"{path}: {error.message}") from error
    if not models:
        raise UserError(f"{path}: expected model_config_list with at least one config")
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
        raise UserError(f"{where}: not a ModelServerConfig: {error}") from error


def model_configs(
    models: model_server_config_pb2.ModelConfigList,
) -> list[ModelConfig]:
    """The models of a config list, checked as the model server checks it.

    Raises:
        StatusError: INVALID_ARGUMENT for a list, FAILED_PRECONDITION for a platform, that is not
            served.
    """
    names = [model.name for model in models.config]
    for name in names:
        if names.count(name) > 1:
            message = f"Illegal to list model {name} multiple times in config list"
            raise StatusError(Code.INVALID_ARGUMENT, message)
    return [_model(model) for model in models.config]


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
    if not model.model_platform:
        raise StatusError(
            Code.INVALID_ARGUMENT,
            "Illegal setting neither model_type(deprecated) nor model_platform.",
        )
    if model.model_platform != "tensorflow":
        message = f"PlatformConfigMap has no entry for platform: {model.model_platform}"
        raise StatusError(Code.FAILED_PRECONDITION, message)
    return ModelConfig(
        model.name,
        pathlib.Path(model.base_path),
        _policy(model.model_version_policy, f"model {model.name}"),
        dict(model.version_labels),
    )


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
