"""What each inference call of the model server does with a loaded model.

Checks, their order, codes and messages follow tensorflow/serving's `predict_util.cc`,
`classifier.cc`, `regressor.cc` and `util.cc`, so that a client that works against one server
works against the other, also where it fails.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from bert_keras.export import tensors
from bert_keras.export.capi import CppSession, FeedError
from bert_keras.export.status import Code, StatusError

DEFAULT_SIGNATURE = "serving_default"
SIGNATURE_DEF = "signature_def"


def predict(
    session: CppSession, version: int | None, request: predict_pb2.PredictRequest
) -> predict_pb2.PredictResponse:
    """Any signature: named tensors in, named tensors out.

    Args:
        version: the number to name in the answer; None leaves it out (warm-up).

    Raises:
        StatusError: FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for wrong
            inputs or outputs, or whatever the graph itself fails with.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = session.signature_defs.get(name)
    if signature is None:
        message = f'Serving signature key "{name}" not found.'
        raise StatusError(Code.FAILED_PRECONDITION, message)
    _check_input_count(signature, request)
    feeds = _feeds(signature, request)
    names = _output_names(signature, request.output_filter)
    fetches = [signature.outputs[output_name].name for output_name in names]
    try:
        outputs = session.run_tensors(feeds, fetches)
    except FeedError as error:
        aliases = {info.name: alias for alias, info in signature.inputs.items()}
        raise _unreadable(aliases[error.tensor_name]) from error
    response = predict_pb2.PredictResponse(
        model_spec=_model_spec(request.model_spec, version),
    )
    for output_name, output in zip(names, outputs, strict=True):
        response.outputs[output_name].CopyFrom(tensors.to_proto(output))
    return response


def _check_input_count(
    signature: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest
) -> None:
    sent, known = set(request.inputs), set(signature.inputs)
    if len(sent) == len(known) or (len(sent) < len(known) and signature.defaults):
        return
    raise StatusError(
        Code.INVALID_ARGUMENT,
        f"input size does not match signature: {len(sent)}!={len(known)}"
        f" len({{{_join(sent)}}}) != len({{{_join(known)}}})."
        f" Sent extra: {{{_join(sent - known)}}}."
        f" Missing but required: {{{_join(known - sent)}}}.",
    )


def _feeds(
    signature: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest
) -> dict[str, np.ndarray | bytes]:
    feeds: dict[str, np.ndarray | bytes] = {}
    for alias in sorted(signature.inputs):
        feed_name = signature.inputs[alias].name
        if alias in request.inputs:
            proto = request.inputs[alias]
        elif alias in signature.defaults:
            proto = signature.defaults[alias]
        else:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"Signature input alias: {alias}(feed name: {feed_name}) not found in request"
                " and no default value provided. Inputs expected to be in the request"
                f" {{{_join(request.inputs)}}}, or default input alias set:"
                f" {_join(signature.defaults)}",
            )
        try:
            tensors.check_size(proto)
        except StatusError as error:
            raise _unreadable(alias) from error
        feeds[feed_name] = proto.SerializeToString()
    return feeds


def _unreadable(alias: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"tensor parsing error: {alias}")


def _output_names(
    signature: meta_graph_pb2.SignatureDef, output_filter: Iterable[str]
) -> list[str]:
    names: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {alias} Outputs expected to be"
                f" in the set {{{_join(signature.outputs)}}}.",
            )
        if alias in names:
            raise StatusError(Code.INVALID_ARGUMENT, f"duplicate output tensor alias: {alias}")
        names.append(alias)
    return names or sorted(signature.outputs)


def classify(
    session: CppSession, version: int | None, request: classification_pb2.ClassificationRequest
) -> classification_pb2.ClassificationResponse:
    """A signature of one input `inputs` (serialized tf.Example) to `classes`, `scores`, or both.

    Raises:
        StatusError: INVALID_ARGUMENT, or whatever the graph itself fails with.
    """
    signature = _inference_signature(session, request.model_spec)
    count = len(signature.outputs)
    if count not in (1, 2):
        message = f"Expected one or two output Tensors, found {count}"
        raise StatusError(Code.INVALID_ARGUMENT, message)
    feed_name = _examples_input(signature, "classification")
    names = [name for name in ("classes", "scores") if name in signature.outputs]
    if not names:
        raise StatusError(
            Code.INVALID_ARGUMENT,
            'Expected classification signature outputs to contain at least one of "classes" or'
            f' "scores". Signature was: {signature}',
        )
    examples = _examples(request.input)
    fetches = [signature.outputs[name].name for name in names]
    outputs = dict(zip(names, session.run_tensors({feed_name: examples}, fetches), strict=True))
    response = classification_pb2.ClassificationResponse(
        model_spec=_model_spec(request.model_spec, version),
    )
    _fill_classifications(response.result, outputs, len(examples))
    return response


def _fill_classifications(
    result: classification_pb2.ClassificationResult, outputs: dict[str, np.ndarray], count: int
) -> None:
    for name, output in outputs.items():
        _check_class_output(name, output, count)
    classes, scores = outputs.get("classes"), outputs.get("scores")
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise StatusError(
            Code.INVALID_ARGUMENT,
            "Tensors class and score should match in dim_size(1)."
            f" Got {classes.shape[1]} vs. {scores.shape[1]}",
        )
    width = next(iter(outputs.values())).shape[1]
    for row in range(count):
        classifications = result.classifications.add()
        for column in range(width):
            entry = classifications.classes.add()
            if classes is not None:
                # The field is text: bytes that are no UTF-8 could not be sent at all.
                entry.label = classes[row, column].decode("utf-8", errors="replace")
            if scores is not None:
                entry.score = float(scores[row, column])


def _check_class_output(name: str, output: np.ndarray, count: int) -> None:
    expected = types_pb2.DT_STRING if name == "classes" else types_pb2.DT_FLOAT
    dtype = tensors.datatype(output)
    if output.ndim != 2:
        message = f"Expected Tensor shape: [batch_size num_classes] but got {_shape(output)}"
    elif dtype != expected:
        message = (
            f"Expected {name} Tensor of {types_pb2.DataType.Name(expected)}."
            f" Got: {types_pb2.DataType.Name(dtype)}"
        )
    elif output.shape[0] != count:
        message = f"Expected {name} output batch size of {count}. Got: {output.shape[0]}"
    else:
        return
    raise StatusError(Code.INVALID_ARGUMENT, message)


def regress(
    session: CppSession, version: int | None, request: regression_pb2.RegressionRequest
) -> regression_pb2.RegressionResponse:
    """A signature of one input `inputs` (serialized tf.Example) to one output `outputs`.

    Raises:
        StatusError: INVALID_ARGUMENT, or whatever the graph itself fails with.
    """
    signature = _inference_signature(session, request.model_spec)
    if len(signature.outputs) != 1:
        raise StatusError(Code.INVALID_ARGUMENT, "Expected one output Tensor.")
    feed_name = _examples_input(signature, "regression")
    if "outputs" not in signature.outputs:
        message = f"No regression outputs found in SignatureDef: {signature}"
        raise StatusError(Code.INVALID_ARGUMENT, message)
    examples = _examples(request.input)
    (output,) = session.run_tensors({feed_name: examples}, [signature.outputs["outputs"].name])
    _check_regression_output(output, len(examples))
    response = regression_pb2.RegressionResponse(
        model_spec=_model_spec(request.model_spec, version),
    )
    for value in output.reshape(-1).tolist():
        response.result.regressions.add(value=value)
    return response


def _check_regression_output(output: np.ndarray, count: int) -> None:
    dtype = tensors.datatype(output)
    if not (output.ndim == 1 or (output.ndim == 2 and output.shape[1] == 1)):
        message = (
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got"
            f" {_shape(output)}"
        )
    elif output.shape[0] != count:
        message = f"Input batch size did not match output batch size: {count} vs. {output.shape[0]}"
    elif dtype != types_pb2.DT_FLOAT:
        message = f"Expected output Tensor of DT_FLOAT.  Got: {types_pb2.DataType.Name(dtype)}"
    else:
        return
    raise StatusError(Code.INVALID_ARGUMENT, message)


def metadata(
    session: CppSession, name: str, version: int
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Every signature of the model, as its file has them."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in session.signature_defs.items():
        signatures.signature_def[key].CopyFrom(definition)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


def check_metadata_request(request: get_model_metadata_pb2.GetModelMetadataRequest) -> None:
    """Refuses a request for nothing, or for anything but the signatures.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    if not request.metadata_field:
        message = "GetModelMetadataRequest must specify at least one metadata_field"
        raise StatusError(Code.INVALID_ARGUMENT, message)
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            message = f"Metadata field {field} is not supported"
            raise StatusError(Code.INVALID_ARGUMENT, message)


def _inference_signature(
    session: CppSession, spec: model_pb2.ModelSpec
) -> meta_graph_pb2.SignatureDef:
    name = spec.signature_name or DEFAULT_SIGNATURE
    signature = session.signature_defs.get(name)
    if signature is None:
        message = f"No signature was found with the name: {name}"
        raise StatusError(Code.INVALID_ARGUMENT, message)
    if len(signature.inputs) != 1:
        raise StatusError(Code.INVALID_ARGUMENT, "Expected one input Tensor.")
    return signature


def _examples_input(signature: meta_graph_pb2.SignatureDef, kind: str) -> str:
    if "inputs" not in signature.inputs:
        message = f"No {kind} inputs found in SignatureDef: {signature}"
        raise StatusError(Code.INVALID_ARGUMENT, message)
    return signature.inputs["inputs"].name


def _examples(value: input_pb2.Input) -> np.ndarray:
    """[examples], each a serialized tf.Example, the context's features in every one."""
    context = b""
    if value.WhichOneof("kind") == "example_list_with_context":
        # Concatenated messages parse as one merged message.
        context = value.example_list_with_context.context.SerializeToString()
        examples = value.example_list_with_context.examples
    else:
        examples = value.example_list.examples
    if not examples:
        raise StatusError(Code.INVALID_ARGUMENT, "Input is empty.")
    serialized = np.empty(len(examples), dtype=object)
    for index, example in enumerate(examples):
        serialized[index] = context + example.SerializeToString()
    return serialized


def _model_spec(asked: model_pb2.ModelSpec, version: int | None) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(
        name=asked.name, signature_name=asked.signature_name or DEFAULT_SIGNATURE
    )
    if version is not None:
        spec.version.value = version
    return spec


def _join(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def _shape(array: np.ndarray) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"
