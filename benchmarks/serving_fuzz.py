"""Random requests against `bert-keras serve`, over gRPC and HTTP, with a model of every task.

    python benchmarks/serving_fuzz.py --requests=100000

No request may kill or hang the server, and each must be answered, or refused with one of the
codes that the model server has for such. Prints how often each kind of request met each code;
ends with 1 where anything else happened, or where an answer after the run is not that before it.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fuzz_requests
import grpc

import bert_keras as bk
from bert_keras.config import BertConfig
from bert_keras.export import Client, saved_model
from bert_keras.models.encoder import BertEncoder

_WORDS = "good fine bad poor the film was a plot and it is not 苹 果 ##s".split()
_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_WORDS]
_TIMEOUT_SECONDS = 60
_PARTS = 10
_GRPC_CODES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE"}
_FURTHER_GRPC_CODES = {
    # Bytes that are no message, and a method that there is not.
    "gRPC raw bytes": {"INTERNAL", "UNIMPLEMENTED"},
    # A task that is neither classification nor regression.
    "gRPC MultiInference": {"UNIMPLEMENTED"},
}
_HTTP_CODES = {"200", "400", "404", "405", "501"}


def _tasks() -> dict[str, Any]:
    """A small model of every task, with random weights."""
    config = BertConfig(
        vocab_size=len(_VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    tokenizer, labels = bk.BertTokenizer(_VOCABULARY), ["negative", "positive"]

    def made(kind: Any, *arguments: Any, add_pooler: bool = True, **options: Any) -> Any:
        return kind(BertEncoder(config, add_pooler=add_pooler), tokenizer, *arguments, **options)

    tasks = bk.tasks
    return {
        "classification": made(tasks.TextClassifier, labels),
        "pairs": made(tasks.TextClassifier, labels, pairs=True),
        "several_labels": made(tasks.MultiLabelClassifier, labels),
        "regression": made(tasks.TextRegressor),
        "tagging": made(tasks.TokenTagger, ["O", "B-x", "I-x"], add_pooler=False),
        "answers": made(tasks.QuestionAnswerer, add_pooler=False),
        "choices": made(tasks.MultipleChoice),
        "embedding": made(tasks.SentenceEmbedder, add_pooler=False),
        "fill_mask": made(tasks.FillMask, add_pooler=False),
    }


def _export(folder: pathlib.Path) -> pathlib.Path:
    """Servables and the server's configuration, whose path it returns."""
    entries = []
    for name, task in _tasks().items():
        saved_model.save(task, folder / name / "1")
        entries.append(
            f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}'
        )
    path = folder / "models.config"
    path.write_text("model_config_list {\n" + "\n".join(entries) + "\n}\n", encoding="utf-8")
    return path


class _Server:
    """The process, and the ports that it names."""

    def __init__(self, config: pathlib.Path, flags: Sequence[str]) -> None:
        command = ["serve", f"--model_config_file={config}", "--port=0", "--rest_api_port=0"]
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "bert_keras", *command, *flags],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.ports: dict[str, int] = {}
        for line in self._process.stdout:
            for kind in ("gRPC", "REST"):
                if kind in line:
                    self.ports[kind] = int(line.removesuffix(" ...\n").strip().rpartition(":")[2])
            if len(self.ports) == 2:
                break
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def megabytes(self) -> float:
        """Resident memory."""
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> int:
        """Ends it as an operator would; its exit status, 0 if all is well."""
        self._process.terminate()
        return self._process.wait(60)


def _inputs_by_signature(client: Client, names: Iterator[str]) -> dict[str, dict[str, list[str]]]:
    return {
        name: {key: [*each.inputs] for key, each in client.signatures(name).items() if each.inputs}
        for name in names
    }


class _Attack:
    """Threads that send requests until enough were sent, and what came back."""

    def __init__(self, server: _Server, models: Mapping[str, Any], seed: int) -> None:
        self._server, self._models, self._seed = server, models, seed
        self._lock = threading.Lock()
        self._left = self._threads = 0
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.failures: list[str] = []

    def run(self, requests: int, threads: int) -> None:
        self._left = requests
        numbers = range(self._threads, self._threads + threads)
        self._threads += threads
        pool = [threading.Thread(target=self._attack, args=(number,)) for number in numbers]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()

    def _attack(self, number: int) -> None:
        requests = fuzz_requests.Requests(self._models, seed=100_000 * self._seed + number)
        draw = random.Random(number)
        channel = grpc.insecure_channel(f"127.0.0.1:{self._server.ports['gRPC']}")
        while self._take():
            if draw.random() < 0.5:
                call = requests.call()
                further = _FURTHER_GRPC_CODES.get(call.kind, set())
                self._note(call, self._grpc(channel, call), _GRPC_CODES | further)
            else:
                http_call = requests.http()
                self._note(http_call, self._http(http_call), _HTTP_CODES)
        channel.close()

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            # After some failures more of the same say nothing new.
            return self._left >= 0 and len(self.failures) < 20

    def _note(self, call: Any, code: str, allowed: set[str]) -> None:
        with self._lock:
            self.counts[call.kind, code] += 1
            if code not in allowed:
                self.failures.append(f"{code}: {str(call)[:500]}")

    @staticmethod
    def _grpc(channel: grpc.Channel, call: fuzz_requests.Call) -> str:
        try:
            channel.unary_unary(call.method)(call.message, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"

    def _http(self, call: fuzz_requests.HttpCall) -> str:
        port = self._server.ports["REST"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(call.verb, call.path, call.body, dict(call.headers))
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()
        return str(answer.status)


def _known_answers(client: Client) -> list[Any]:
    text = ["good film", "苹果"]
    return [
        client.model("classification").classify(text),
        client.model("tagging").tag(text),
        client.model("answers").answer(["which film?"] * 2, text),
        client.model("fill_mask").fill_mask(["good [MASK]"]),
    ]


def main() -> int:
    """1 where a request hung, or ended otherwise than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs="*", help="of the server, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = _Server(_export(pathlib.Path(folder)), arguments.flags)
        with Client(f"127.0.0.1:{server.ports['gRPC']}") as client:
            names = iter(_tasks())
            attack = _Attack(server, _inputs_by_signature(client, names), arguments.seed)
            before, memory, start = _known_answers(client), [server.megabytes()], time.monotonic()
            for _ in range(_PARTS):
                attack.run(arguments.requests // _PARTS, arguments.threads)
                memory.append(server.megabytes())
            seconds = time.monotonic() - start
            same = _known_answers(client) == before
        print(f"{sum(attack.counts.values()):,} requests in {seconds:.0f} s")
        print("resident memory, MB, at the start and after each tenth of the requests:")
        print(*(f"{megabytes:.0f}" for megabytes in memory))
        status = server.stop()
    for (kind, code), count in sorted(attack.counts.items()):
        print(f"{kind:20} {code:20} {count:8,}")
    print("answers after as before" if same else "ANSWERS CHANGED", f"; exit status {status}")
    for failure in attack.failures:
        print("FAILED", failure)
    return int(bool(attack.failures) or not same or status != 0)


if __name__ == "__main__":
    sys.exit(main())
