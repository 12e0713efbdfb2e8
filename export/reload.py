"""Another list of models for a server that runs: the whole list replaces the old one.

The rules and messages are those of tensorflow/serving's `server_core.cc`.
"""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable

from absl import logging
from tensorflow_serving.config import model_server_config_pb2

from bert_keras.errors import UserError
from bert_keras.export.server_config import (
    label_unavailable,
    model_configs,
    parse_model_config_file,
)
from bert_keras.export.status import Code, StatusError
from bert_keras.export.versions import ModelConfig, ModelVersions, State

_TICK_SECONDS = 0.05


class Reloader:
    """Applies one config after the other to the models of a server.

    Args:
        models: by name; a model that is no longer listed stays in it, retired, so that its
            status can still be asked for.
        make: the versions of a model that is new.
        allow_labels: a new label may name a version that is not available; one that moves to
            another version may not.
    """

    def __init__(
        self,
        models: dict[str, ModelVersions],
        make: Callable[[ModelConfig], ModelVersions],
        allow_labels: bool = False,
    ) -> None:
        self._models = models
        self._make = make
        self._allow_labels = allow_labels
        self._lock = threading.Lock()

    def apply(
        self,
        config: model_server_config_pb2.ModelServerConfig,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Loads what is new, unloads what is gone, and returns when every new model answers.

        A config that is refused changes nothing. Models stay listed, and labels stay, when one of
        the models does not load.

        Args:
            config: with a `model_config_list`, which may be empty.
            wanted: asked again and again; the wait ends when it says no.

        Raises:
            StatusError: INVALID_ARGUMENT for a config that cannot be served,
                FAILED_PRECONDITION for a label, UNKNOWN where a new model did not load, CANCELLED.
        """
        if config.WhichOneof("config") != "model_config_list":
            raise StatusError(
                Code.INVALID_ARGUMENT,
                "ServerModelConfig type not supported by HandleReloadConfigRequest."
                " Only ModelConfigList is currently supported",
            )
        with self._lock:
            served = [name for name, model in self._models.items() if not model.retired()]
            configs = model_configs(config.model_config_list, served)
            self._check_labels(configs)
            self._await(self._replace(configs), wanted)

    def _replace(self, configs: list[ModelConfig]) -> list[ModelVersions]:
        """Changes what is served; gives the models that were not served before."""
        new = []
        for name in set(self._models) - {config.name for config in configs}:
            self._models[name].retire()
        for config in configs:
            model = self._models.get(config.name)
            if model is None:
                model = self._models[config.name] = self._make(config)
                new.append(model)
            elif model.retired():
                new.append(model)
            model.config = config
        for model in list(self._models.values()):
            model.poll()
        return new

    def _await(self, new: list[ModelVersions], wanted: Callable[[], bool]) -> None:
        while waiting := [model for model in new if not model.available()]:
            if failed := [model for model in waiting if model.gave_up()]:
                raise StatusError(Code.UNKNOWN, unavailable(failed, "model(s)"))
            if not wanted():
                raise StatusError(Code.CANCELLED, unavailable(waiting, "model(s)"))
            time.sleep(_TICK_SECONDS)
            for model in waiting:
                model.poll()

    def _check_labels(self, configs: list[ModelConfig]) -> None:
        """Labels name versions that answer by now: this config's own do not count yet."""
        for config in configs:
            model = self._models.get(config.name)
            statuses = model.statuses() if model else []
            loaded = {s.version for s in statuses if s.state == State.AVAILABLE}
            labels = model.config.labels if model else {}
            for label, version in config.labels.items():
                moves = labels.get(label, version) != version
                if version not in loaded and (moves or not self._allow_labels):
                    message = label_unavailable(config.name, version)
                    raise StatusError(Code.FAILED_PRECONDITION, message)


class ConfigFile:
    """A config file that is applied again and again while the server runs."""

    def __init__(self, reloader: Reloader, path: str | None) -> None:
        self._reloader = reloader
        self._path = path
        self._stopping = threading.Event()

    def watch(self, seconds: float) -> None:
        """Reads the file every so often, in a thread; 0 does not. What is wrong is logged."""
        if self._path and seconds > 0:
            arguments = (pathlib.Path(self._path), seconds)
            threading.Thread(target=self._watch, args=arguments, daemon=True).start()

    def stop(self) -> None:
        """Reads it no more."""
        self._stopping.set()

    def _watch(self, path: pathlib.Path, seconds: float) -> None:
        while not self._stopping.wait(seconds):
            try:
                config = parse_model_config_file(path)
                self._reloader.apply(config, lambda: not self._stopping.is_set())
            except (UserError, StatusError) as error:
                logging.error("PollFilesystemAndReloadConfig failed: %s", error)


def unavailable(models: list[ModelVersions], noun: str) -> str:
    """Why models do not answer, in one line and in the model server's words."""
    reasons = []
    for model in models:
        name = model.config.name
        statuses = model.statuses()
        if not statuses:
            reasons.append(f"{{name: {name}}} has no version under {model.config.base_path}")
        for status in statuses:
            error = " ".join(f"{status.code.name}: {status.message}".split())
            reason = f"{{name: {name} version: {status.version}}}"
            reasons.append(f"{reason} due to error: {error}" if status.code else reason)
    listed = "".join(f"{{{reason}}}, " for reason in reasons)
    return f"{len(models)} {noun} did not become available: {{{listed}}}"
