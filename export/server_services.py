"""The gRPC services of the development server: which model a call means, and its status."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import grpc
from absl import logging
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from bert_keras.export import multi_inference, server_examples, server_requests
from bert_keras.export.metrics import Metrics
from bert_keras.export.reload import Reloader
from bert_keras.export.sessions import CallSession
from bert_keras.export.status import Code, StatusError, truncate
from bert_keras.export.versions import ModelVersions, Servable, not_found

_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}
_Response = TypeVar("_Response")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Inference on models by name."""

    def __init__(self, models: Mapping[str, ModelVersions], metrics: Metrics | None = None) -> None:
        self._models = models
        self._metrics = metrics or Metrics()

    def _infer(
        self,
        context: grpc.ServicerContext,
        api: str,
        spec: model_pb2.ModelSpec,
        request: Any,
        run: Callable[..., Any],
    ) -> Any:
        observe = functools.partial(self._metrics.observe_runtime, spec.name, api)

        def work() -> Any:
            if api != "MultiInference":
                _require_spec(request)
            with find(self._models, spec) as servable:
                session = CallSession(servable.session, context.time_remaining(), observe)
                return run(session, servable.version, request)

        return _answer(context, work, self._metrics, api, spec.name)

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """See server_requests.predict."""
        run = server_requests.predict
        return self._infer(context, "Predict", request.model_spec, request, run)

    def Classify(
        self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        """See server_examples.classify."""
        run = server_examples.classify
        return self._infer(context, "Classify", request.model_spec, request, run)

    def Regress(
        self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        """See server_examples.regress."""
        run = server_examples.regress
        return self._infer(context, "Regress", request.model_spec, request, run)

    def MultiInference(
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        """See multi_inference.multi_inference."""
        run = multi_inference.multi_inference
        spec = multi_inference.spec_of(request)
        return self._infer(context, "MultiInference", spec, request, run)

    def GetModelMetadata(
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of one version."""
        name = request.model_spec.name

        def work() -> get_model_metadata_pb2.GetModelMetadataResponse:
            _require_spec(request)
            server_requests.check_metadata_request(request)
            with find(self._models, request.model_spec) as servable:
                return server_requests.metadata(servable.session, name, servable.version)

        return _answer(context, work, self._metrics, "GetModelMetadata", name)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The state of versions, and other models for a server that runs."""

    def __init__(
        self,
        models: Mapping[str, ModelVersions],
        reloader: Reloader,
        metrics: Metrics | None = None,
    ) -> None:
        self._models = models
        self._reloader = reloader
        self._metrics = metrics or Metrics()

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of one version, or of every one seen, newest first."""

        def work() -> get_model_status_pb2.GetModelStatusResponse:
            _require_spec(request)
            return model_status(self._models, request.model_spec)

        return _answer(context, work, self._metrics, "GetModelStatus", request.model_spec.name)

    def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        """See reload.Reloader.apply; the wait for new models ends with the call."""

        def work() -> model_management_pb2.ReloadConfigResponse:
            self._reloader.apply(request.config, context.is_active)
            return model_management_pb2.ReloadConfigResponse(status={})

        return _answer(context, work, self._metrics, "HandleReloadConfigRequest", "")


def find(
    models: Mapping[str, ModelVersions], spec: model_pb2.ModelSpec
) -> contextlib.AbstractContextManager[Servable]:
    """The version that a request asks for, held for the time of a `with` block.

    A version that is set counts also when it is 0; only an absent one means the newest.

    Raises:
        StatusError: INVALID_ARGUMENT without a name or for an unknown label, NOT_FOUND.
    """
    if not spec.name:
        raise StatusError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
    model = models.get(spec.name)
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    if choice == "version_label":
        version = model.config.labels.get(spec.version_label) if model else None
        if version is None:
            message = f"Unrecognized servable version label: {spec.version_label}"
            raise StatusError(Code.INVALID_ARGUMENT, message)
    if model is None:
        raise not_found(spec.name, version)
    return model.use(version)


def model_status(
    models: Mapping[str, ModelVersions], spec: model_pb2.ModelSpec
) -> get_model_status_pb2.GetModelStatusResponse:
    """The state of one version, or of all that were seen.

    Raises:
        StatusError: NOT_FOUND.
    """
    model = models.get(spec.name)
    statuses = model.statuses() if model else []
    missing = f"Could not find any versions of model {spec.name}"
    if spec.HasField("version"):
        version = spec.version.value
        statuses = [status for status in statuses if status.version == version]
        missing = f"Could not find version {version} of model {spec.name}"
    if not statuses:
        raise StatusError(Code.NOT_FOUND, missing)
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in statuses:
        entry = response.model_version_status.add(version=status.version, state=int(status.state))
        entry.status.error_code = int(status.code)
        entry.status.error_message = status.message
    return response


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise StatusError(Code.INVALID_ARGUMENT, "Missing ModelSpec")


def _answer(
    context: grpc.ServicerContext,
    work: Callable[[], _Response],
    metrics: Metrics,
    api: str,
    model: str,
) -> _Response:
    """Whatever happens inside, the client gets a status, it is counted, the server lives on."""
    started = time.monotonic()
    failure = None
    try:
        return work()
    except StatusError as error:
        failure = error
    except Exception as error:
        logging.exception("A call failed inside the server")
        failure = StatusError(Code.INTERNAL, f"{type(error).__name__}: {error}")
    finally:
        code = failure.code if failure else Code.OK
        metrics.record(model, api, "GRPC", code, time.monotonic() - started)
    _abort(context, failure)


def _abort(context: grpc.ServicerContext, error: StatusError) -> NoReturn:
    context.abort(_GRPC_CODES[int(error.code)], truncate(error.message))
    raise AssertionError("abort returns by raising")
