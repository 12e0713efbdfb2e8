"""A development server: TensorFlow Serving's calls on the C++ session, in this process.

It stands in for `tensorflow_model_server` where that cannot be had: same calls, same answers,
same errors, same folders. docs/serving.md says what it does not do.
"""

from __future__ import annotations

import functools
import os
import pathlib
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent import futures

import grpc
from absl import logging
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from bert_keras.errors import UserError
from bert_keras.export import web_page
from bert_keras.export.batching_config import BatchingParameters, read_batching_parameters_file
from bert_keras.export.channel_arguments import parse_channel_arguments
from bert_keras.export.metrics import Metrics
from bert_keras.export.monitoring_config import read_metrics_path
from bert_keras.export.reload import ConfigFile, Reloader, unavailable
from bert_keras.export.rest_requests import RestCalls
from bert_keras.export.rest_server import RestOptions, RestServer, default_threads
from bert_keras.export.rest_site import Site
from bert_keras.export.server_config import read_model_config_file
from bert_keras.export.server_services import ModelService, PredictionService
from bert_keras.export.version_loader import VersionLoader
from bert_keras.export.versions import ModelConfig, ModelVersions, RetryPolicy

MAX_MESSAGE_BYTES = 2**31 - 1
_TICK_SECONDS = 0.05


class Stopped(Exception):
    """The server was told to stop before it had begun to answer."""


class ModelServer:
    """Serves the newest version of each model over gRPC, and over REST where that has a port.

    ```python
    server = ModelServer({"sentiment": "serving/sentiment"})
    port = server.start()
    ```

    Args:
        models: model name to base path (the folder of the version folders), or ModelConfigs.
        port: 0 takes any free one.
        socket_path: of a Unix socket to listen on as well.
        poll_seconds: how often to look for new versions; 0 looks at the start only.
        host: the address to listen on.
        retry: how often to try a version that fails to load.
        threads: calls that run at once; more wait.
        allow_labels: a reloaded config may label versions that are not available.
        channel_arguments: gRPC's own options for connections, such as
            `grpc.max_receive_message_length`.
        batching: how calls share runs of a model; None runs each by itself.
        batching_per_model: see VersionLoader.
        rest_port: of the REST API, the metrics and the web page; None serves none of them, 0
            takes any free one.
        rest_options: how many threads it has, and so on.

    Attributes:
        metrics: what was counted so far.
        rest_port: the port that was taken, after `start`.
        socket_path: of the Unix socket; "" where there is none.
    """

    def __init__(
        self,
        models: Mapping[str, str | pathlib.Path] | Sequence[ModelConfig],
        port: int = 0,
        poll_seconds: float = 1.0,
        host: str = "0.0.0.0",
        retry: RetryPolicy | None = None,
        threads: int = 16,
        allow_labels: bool = False,
        rest_port: int | None = None,
        rest_options: RestOptions | None = None,
        channel_arguments: Mapping[str, int | str] | None = None,
        batching: BatchingParameters | None = None,
        batching_per_model: bool = False,
        socket_path: str = "",
    ) -> None:
        if isinstance(models, Mapping):
            models = [ModelConfig(name, pathlib.Path(path)) for name, path in models.items()]
        self._host = host
        self._port = port
        self.socket_path = socket_path
        self._poll_seconds = poll_seconds
        self.metrics = Metrics()
        self._load = VersionLoader(self.metrics, batching, batching_per_model)

        def versions(config: ModelConfig) -> ModelVersions:
            return ModelVersions(config, self._load, retry or RetryPolicy())

        self._models = {config.name: versions(config) for config in models}
        self.reloader = Reloader(self._models, versions, allow_labels)
        self._threads = threads
        self._channel_arguments = dict(channel_arguments or {})
        self._grpc: grpc.Server | None = None
        self.rest_port = rest_port
        self._rest_options = rest_options or RestOptions()
        self._rest: RestServer | None = None
        self._poller = threading.Thread(target=self._poll, name="versions", daemon=True)
        self._stopping = threading.Event()
        self._interrupted = False
        self._polled_once = False

    def start(self, timeout: float | None = None) -> int:
        """Loads every model, then listens.

        A base path without a version is waited for, as the model server does.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.

        Returns:
            The port.

        Raises:
            UserError: the port is taken, a base path is missing, a model cannot be loaded, or
                none is there in time.
            Stopped: `interrupt` was called meanwhile.
        """
        self._check_ports()
        for model in self._models.values():
            if not model.config.base_path.is_dir():
                raise UserError(
                    f"--model_base_path={model.config.base_path}: no such folder; expected the"
                    f" folder of model {model.config.name}'s versions"
                )
        self._poller.start()
        try:
            self._await_models(timeout)
            self._port = self._listen()
            self._listen_for_rest()
        except BaseException:
            self.stop(grace=0)
            raise
        logging.info("Running gRPC ModelServer at %s:%d ...", self._host, self._port)
        if self.rest_port is not None:
            logging.info("Exporting HTTP/REST API at:%s:%d ...", self._host, self.rest_port)
        return self._port

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until `interrupt` or `stop` is called; False if `timeout` seconds pass before."""
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while not self._interrupted and time.monotonic() < deadline:
            time.sleep(_TICK_SECONDS)
        return self._interrupted

    def interrupt(self) -> None:
        """Makes `start` and `wait` return; safe in a signal handler, which must take no lock."""
        self._interrupted = True

    def stop(self, grace: float = 5.0) -> None:
        """Takes no new calls, gives those under way `grace` seconds, then frees the models."""
        self._interrupted = True
        self._stopping.set()
        if self._rest is not None:
            self._rest.stop_accepting()
        stopped = self._grpc.stop(grace) if self._grpc is not None else None
        self._load.hurry()
        if self._rest is not None:
            self._rest.drain(grace)
        if stopped is not None:
            stopped.wait()
        if self._poller.is_alive():
            self._poller.join()
        for model in list(self._models.values()):
            model.close()
        self._load.close()

    def _check_ports(self) -> None:
        """Fails early, and without listening, so that nobody connects before models are there."""
        if self.rest_port and self.rest_port == self._port:
            raise UserError(f"--rest_api_port={self.rest_port}: --port is the same")
        _check_port("--port", self._host, self._port)
        if self.rest_port is not None:
            _check_port("--rest_api_port", self._host, self.rest_port)

    def _listen(self) -> int:
        arguments: dict[str, int | str] = {
            "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
            "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
            # Otherwise a second server on the same port would share its calls, silently.
            "grpc.so_reuseport": 0,
            **self._channel_arguments,
        }
        server = grpc.server(
            futures.ThreadPoolExecutor(self._threads, thread_name_prefix="grpc"),
            options=list(arguments.items()),
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._models, self.metrics), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self._models, self.reloader, self.metrics), server
        )
        port = _bind(server, f"{self._host}:{self._port}", f"--port={self._port}")
        if self.socket_path:
            _bind(server, f"unix:{self.socket_path}", f"--grpc_socket_path={self.socket_path}")
        server.start()
        self._grpc = server
        return port

    def _listen_for_rest(self) -> None:
        if self.rest_port is None:
            return
        options = self._rest_options
        calls = RestCalls(self._models, options.timeout_seconds or None, self.metrics)
        pages = functools.partial(web_page.respond, models=self._models)
        site = Site(calls.answer, pages, self.metrics, options.metrics_path, options.cors)
        self._rest = RestServer(self._host, self.rest_port, options.threads, site)
        self.rest_port = self._rest.port
        self._rest.start()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            for model in list(self._models.values()):
                try:
                    model.poll()
                except Exception:
                    logging.exception("Polling model %s failed", model.config.name)
            self._polled_once = True
            settled = all(model.settled() for model in list(self._models.values()))
            if self._poll_seconds <= 0 and settled:
                return
            self._stopping.wait(self._poll_seconds or 1.0)

    def _await_models(self, timeout: float | None) -> None:
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            waiting = [model for model in self._models.values() if not model.available()]
            # One whole pass, so that with several versions per model all are there.
            if self._polled_once and not waiting:
                return
            failed = [model for model in waiting if model.gave_up()]
            if failed or time.monotonic() > deadline:
                raise UserError(unavailable(failed or waiting, "servable(s)"))
            if self._interrupted:
                raise Stopped
            time.sleep(_TICK_SECONDS)


def _bind(server: grpc.Server, address: str, flag: str) -> int:
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise UserError(f"{flag}: cannot listen on it: {error}") from error


def _check_port(flag: str, host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise UserError(f"{flag}={port}: cannot listen on {host}:{port}: {error}") from error


def serve_forever(
    *,
    model_name: str = "default",
    model_base_path: str | None = None,
    model_config_file: str | None = None,
    model_config_file_poll_wait_seconds: float = 0.0,
    port: int = 8500,
    grpc_socket_path: str = "",
    rest_api_port: int | None = None,
    rest_api_num_threads: int | None = None,
    rest_api_timeout_in_ms: int = 30_000,
    rest_api_enable_cors_support: bool = False,
    monitoring_config_file: str | None = None,
    file_system_poll_wait_seconds: float = 1.0,
    max_num_load_retries: int = 5,
    load_retry_interval_micros: int = 1_000_000,
    allow_version_labels_for_unavailable_models: bool = False,
    grpc_max_threads: int = 0,
    grpc_channel_arguments: str = "",
    enable_batching: bool = False,
    batching_parameters_file: str | None = None,
    enable_per_model_batching_parameters: bool = False,
    grace_seconds: float = 10.0,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets the calls under way finish.

    The arguments are flags of `tensorflow_model_server`, whose retry interval is a minute
    instead of a second. Prints a line for each port when it answers. Call it in the main thread.

    Args:
        grpc_max_threads: 0 takes four for each CPU, at least 16.
        grace_seconds: how long calls under way may go on after the signal.

    Raises:
        UserError: see ModelServer.start; also neither a base path nor a config file, a file
            that cannot be used, or one for batches without enable_batching.
    """
    server = ModelServer(
        _models(
            model_name,
            model_base_path,
            model_config_file,
            allow_version_labels_for_unavailable_models,
        ),
        port,
        file_system_poll_wait_seconds,
        retry=RetryPolicy(max_num_load_retries, load_retry_interval_micros / 1e6),
        threads=grpc_max_threads or max(16, 4 * len(os.sched_getaffinity(0))),
        allow_labels=allow_version_labels_for_unavailable_models,
        rest_port=rest_api_port,
        rest_options=RestOptions(
            rest_api_num_threads or default_threads(),
            max(rest_api_timeout_in_ms, 0) / 1000,
            read_metrics_path(monitoring_config_file) if monitoring_config_file else None,
            rest_api_enable_cors_support,
        ),
        channel_arguments=parse_channel_arguments(grpc_channel_arguments),
        batching=_batching(enable_batching, batching_parameters_file),
        batching_per_model=enable_per_model_batching_parameters,
        socket_path=grpc_socket_path,
    )
    config_file = ConfigFile(server.reloader, model_config_file)
    _run(server, config_file, model_config_file_poll_wait_seconds, grace_seconds)


def _run(
    server: ModelServer, config_file: ConfigFile, poll_seconds: float, grace_seconds: float
) -> None:
    def stop(number: int, _: object) -> None:
        # A second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        server.interrupt()

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        port = server.start()
        print(f"Running gRPC ModelServer at 0.0.0.0:{port} ...", flush=True)
        if server.socket_path:
            print(f"Running gRPC ModelServer at UNIX socket {server.socket_path} ...", flush=True)
        if server.rest_port is not None:
            print(f"Exporting HTTP/REST API at:localhost:{server.rest_port} ...", flush=True)
        config_file.watch(poll_seconds)
        server.wait()
        logging.info("Stopping: no new calls, %.0f s for those under way", grace_seconds)
    except Stopped:
        pass
    finally:
        config_file.stop()
        server.stop(grace_seconds)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _batching(enabled: bool, file: str | None) -> BatchingParameters | None:
    if enabled and file:
        return read_batching_parameters_file(file)
    if file:
        raise UserError(f"--batching_parameters_file={file}: needs --enable_batching")
    return BatchingParameters(thread_pool_name="model_server_batch_threads") if enabled else None


def _models(
    name: str, base_path: str | None, config_file: str | None, allow_labels: bool
) -> list[ModelConfig]:
    if config_file:
        return read_model_config_file(config_file, allow_labels)
    if not base_path:
        raise UserError("--model_base_path: expected a folder of versions, or --model_config_file")
    return [ModelConfig(name, pathlib.Path(base_path))]
