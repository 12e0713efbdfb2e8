"""The files beside a servable that put it on the official TensorFlow Serving image.

They stand in BASE/NAME, where the version folders are: one set serves every version. Each is
written only where it is missing, so that what somebody has changed stays; remove a file and
export again to have it anew.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable, Sequence

from bert_keras.errors import UserError

IMAGE = "tensorflow/serving:2.20.0"
GRPC_PORT, REST_PORT = 8500, 8501
# Of a batch: the server fills one up to the next of these sizes with copies of its first example.
# The graph takes any size, so they are close to each other; more at once bring no more answers.
BATCH_SIZES = (*range(1, 9), *range(10, 17, 2), *range(20, 33, 4))
_METRICS_PATH = "/monitoring/prometheus/metrics"
_SAMPLES = {
    "text": "[MASK] is the first word of this text.",
    "text_pair": "This text has another first word.",
    "question": "What is served?",
    "context": "A model is served.",
    "choices": ["It answers.", "It rains."],
}


def write_deployment(folder: pathlib.Path, inputs: Sequence[str]) -> list[pathlib.Path]:
    """Writes what is missing of the files that serve a model.

    Args:
        folder: BASE/NAME; the model is served as NAME.
        inputs: of `serving_default`: they are what the smoke script asks with.

    Returns:
        The files that were written; those that were there already are left as they are.

    Raises:
        UserError: see `model_name`, or an input has no sample.
    """
    name = model_name(folder)
    unknown = sorted(set(inputs) - set(_SAMPLES))
    if unknown:
        raise UserError(f"{folder}: no sample for the inputs {unknown}")
    written = []
    for file, make in _FILES.items():
        path = folder / file
        if not path.exists():
            path.write_text(make(name, inputs), encoding="utf-8")
            written.append(path)
    return written


def model_name(folder: pathlib.Path) -> str:
    """The name of the model whose versions are in a folder.

    Raises:
        UserError: it is none that a URL, YAML and a shell take as it is.
    """
    name = folder.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UserError(
            f"{folder}: expected a model name of ASCII letters, digits, '.', '-' and '_',"
            f" received {name!r}"
        )
    return name


def _models(name: str, _: Sequence[str]) -> str:
    return f"""\
# ModelServerConfig; the path is the one inside of the container.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""


def _batching(_: str, __: Sequence[str]) -> str:
    sizes = "\n".join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)
    return f"""\
# BatchingParameters, which --enable_batching turns on.
max_batch_size {{ value: {BATCH_SIZES[-1]} }}
batch_timeout_micros {{ value: 1000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 4 }}
{sizes}
"""


def _monitoring(_: str, __: Sequence[str]) -> str:
    return f"""\
# MonitoringConfig, for Prometheus on the REST port.
prometheus_config {{ enable: true path: "{_METRICS_PATH}" }}
"""


def _arguments(folder: str) -> list[str]:
    """The server's arguments, with the config files in `folder`."""
    return [
        f"--port={GRPC_PORT}",
        f"--rest_api_port={REST_PORT}",
        f"--model_config_file={folder}/models.config",
        f"--monitoring_config_file={folder}/monitoring.config",
        "--enable_batching=true",
        f"--batching_parameters_file={folder}/batching.config",
    ]


def _list(indent: int, values: Sequence[str]) -> str:
    return "\n".join(f'{" " * indent}- "{value}"' for value in values)


def _compose(name: str, _: Sequence[str]) -> str:
    return f"""\
services:
  serving:
    image: {IMAGE}
    ports:
      - "{GRPC_PORT}:{GRPC_PORT}"
      - "{REST_PORT}:{REST_PORT}"
    volumes:
      - ".:/models/{name}:ro"
    entrypoint: ["tensorflow_model_server"]
    command:
{_list(6, _arguments(f"/models/{name}"))}
    stop_grace_period: 30s
    restart: unless-stopped
"""


def _kubernetes(name: str, _: Sequence[str]) -> str:
    # Names of Kubernetes objects are lower case, without '_' and '.'.
    label = "bert-" + re.sub("[._]", "-", name.lower())[:58].rstrip("-")
    return f"""\
# The volume claim "{label}" holds what stands beside this file, the version folders included.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {label}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {label}}}
  template:
    metadata:
      labels: {{app: {label}}}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "{REST_PORT}"
        prometheus.io/path: "{_METRICS_PATH}"
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: serving
          image: {IMAGE}
          command: ["tensorflow_model_server"]
          args:
{_list(12, _arguments(f"/models/{name}"))}
          ports:
            - {{name: grpc, containerPort: {GRPC_PORT}}}
            - {{name: rest, containerPort: {REST_PORT}}}
          readinessProbe:
            httpGet: {{path: /v1/models/{name}, port: {REST_PORT}}}
          volumeMounts:
            - {{name: model, mountPath: /models/{name}, readOnly: true}}
      volumes:
        - name: model
          persistentVolumeClaim: {{claimName: {label}, readOnly: true}}
---
apiVersion: v1
kind: Service
metadata:
  name: {label}
spec:
  selector: {{app: {label}}}
  ports:
    - {{name: grpc, port: {GRPC_PORT}, targetPort: {GRPC_PORT}}}
    - {{name: rest, port: {REST_PORT}, targetPort: {REST_PORT}}}
"""


def _smoke(name: str, inputs: Sequence[str]) -> str:
    body = json.dumps({"instances": [{key: _SAMPLES[key] for key in inputs}]})
    return f"""\
#!/bin/sh
# Asks the server one question; fails unless it answers. Usage: sh smoke.sh [HOST:PORT]
curl --fail-with-body --silent --show-error --max-time 60 \\
  --header 'Content-Type: application/json' \\
  --data '{body}' \\
  "http://${{1:-localhost:{REST_PORT}}}/v1/models/{name}:predict"
"""


_FILES: dict[str, Callable[[str, Sequence[str]], str]] = {
    "models.config": _models,
    "batching.config": _batching,
    "monitoring.config": _monitoring,
    "docker-compose.yml": _compose,
    "kubernetes.yaml": _kubernetes,
    "smoke.sh": _smoke,
}
