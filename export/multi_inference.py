"""What MultiInference does with a loaded model: several classify and regress tasks on one input.

Checks, their order, codes and messages follow tensorflow/serving's `multi_inference.cc`. The
graph runs once for all tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import inference_pb2, model_pb2

from bert_keras.export import server_examples
from bert_keras.export.server_requests import DEFAULT_SIGNATURE, resolved_spec
from bert_keras.export.sessions import Session
from bert_keras.export.status import Code, StatusError

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


def spec_of(request: inference_pb2.MultiInferenceRequest) -> model_pb2.ModelSpec:
    """The model that a request means: that of its first task; without tasks one without a name."""
    return request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()


def multi_inference(
    session: Session, version: int | None, request: inference_pb2.MultiInferenceRequest
) -> inference_pb2.MultiInferenceResponse:
    """One result per task, in the tasks' order.

    Raises:
        StatusError: INVALID_ARGUMENT, UNIMPLEMENTED for another method, or whatever the graph
            itself fails with.
    """
    plans: list[tuple[str, dict[str, str]]] = []
    for method, signature in _signatures(session, request.tasks):
        plans.append(_plan(method, signature))
    examples = server_examples.serialized_examples(request.input)
    fetches = sorted({tensor for _, outputs in plans for tensor in outputs.values()})
    arrays = session.run_tensors({feed: examples for feed, _ in plans}, fetches)
    fetched = dict(zip(fetches, arrays, strict=True))
    response = inference_pb2.MultiInferenceResponse()
    for task, (_, outputs) in zip(request.tasks, plans, strict=True):
        result = response.results.add(model_spec=resolved_spec(task.model_spec, version))
        values = {name: fetched[tensor] for name, tensor in outputs.items()}
        if task.method_name == CLASSIFY:
            server_examples.fill_classifications(
                result.classification_result, values, len(examples)
            )
        else:
            server_examples.fill_regressions(
                result.regression_result, values["outputs"], len(examples)
            )
    return response


def _signatures(
    session: Session, tasks: Iterable[inference_pb2.InferenceTask]
) -> Iterator[tuple[str, meta_graph_pb2.SignatureDef]]:
    """The method and signature of each task: all of one model, no two the same."""
    model = ""
    seen: set[str] = set()
    for task in tasks:
        spec = task.model_spec
        if not spec.name:
            raise _invalid("Found ModelSpec with an empty model name.")
        model = model or spec.name
        if spec.name != model:
            raise _invalid(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        name = spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise _invalid(f"Duplicate evaluation of signature: {name}")
        signature = session.signature_defs.get(name)
        if signature is None:
            raise _invalid(f"Requested signature not found in model graph: {name}")
        seen.add(name)
        yield task.method_name, signature


def _plan(method: str, signature: meta_graph_pb2.SignatureDef) -> tuple[str, dict[str, str]]:
    """The tensor to feed, and those to fetch by output name."""
    if method == CLASSIFY:
        return server_examples.classification_tensors(signature)
    if method == REGRESS:
        return server_examples.regression_tensors(signature)
    raise StatusError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {method}")


def _invalid(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, message)
