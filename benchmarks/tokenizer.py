"""Tokenization speed on one core, beside Hugging Face's tokenizers.

    python benchmarks/tokenizer.py --vocab=vocab.txt --text='books/*/*.md' --megabytes=4

The measurements take turns, so that other load on the machine meets all of them alike;
compare the ratios of one run. Both sides get the same Python list of strings: `tokenizers`
returns its encodings (with and without offsets; their ids stay on the Rust side), ours
returns ragged tensors.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import pathlib
import statistics
import time
from collections.abc import Callable


def use_one_core(core: int) -> None:
    """Before TensorFlow and tokenizers start their threads."""
    os.sched_setaffinity(0, {core})
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def read_rows(patterns: list[str], megabytes: float) -> list[str]:
    """Paragraphs (or `context` fields of SQuAD JSON), in the files' order."""
    rows: list[str] = []
    size, limit = 0, megabytes * 1e6
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern)):
        text = pathlib.Path(path).read_text("utf-8")
        if path.endswith(".json"):
            articles = json.loads(text)["data"]
            found = [p["context"] for article in articles for p in article["paragraphs"]]
        else:
            found = [part.strip() for part in text.split("\n\n") if part.strip()]
        for row in found:
            rows.append(row)
            size += len(row.encode())
            if size >= limit:
                return rows
    return rows


def contestants(vocab: str, lowercase: bool) -> dict[str, Callable[[list[str]], object]]:
    """Name to function of a list of strings."""
    import tensorflow as tf
    import tokenizers

    from bert_keras.tokenization import BertTokenizer

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    ours = BertTokenizer(vocab, lowercase=lowercase)
    theirs = tokenizers.BertWordPieceTokenizer(vocab, lowercase=lowercase)._tokenizer
    return {
        "bert_keras ids": ours.tokenize,
        "bert_keras offsets": ours.offsets,
        "tokenizers ids": lambda rows: theirs.encode_batch_fast(rows, add_special_tokens=False),
        "tokenizers offsets": lambda rows: theirs.encode_batch(rows, add_special_tokens=False),
    }


def measure(
    functions: dict[str, Callable[[list[str]], object]], rows: list[str], rounds: int
) -> dict[str, float]:
    """Median seconds of each, over interleaved rounds after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function(rows)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def call_microseconds(function: Callable[[list[str]], object], row: str) -> float:
    """Median time of a call with one short row."""
    times = []
    for _ in range(300):
        start = time.perf_counter()
        function([row])
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times[20:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--text", required=True, nargs="+", help="files or globs")
    parser.add_argument("--megabytes", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--cased", action="store_true")
    flags = parser.parse_args()
    use_one_core(flags.core)
    rows = read_rows(flags.text, flags.megabytes)
    size = sum(len(row.encode()) for row in rows)
    functions = contestants(flags.vocab, not flags.cased)
    seconds = measure(functions, rows, flags.rounds)
    rates = {name: size / time_ / 1e6 for name, time_ in seconds.items()}
    encodings = functions["tokenizers ids"](rows)
    ids = functions["bert_keras ids"](rows).to_list()
    report = {
        "bytes": size,
        "rows": len(rows),
        "rows_not_ascii": sum(not row.isascii() for row in rows),
        "rows_with_other_ids": sum(a != b.ids for a, b in zip(ids, encodings, strict=True)),
        "megabytes_per_second": {name: round(rate, 2) for name, rate in rates.items()},
        "ratio_ids": round(rates["bert_keras ids"] / rates["tokenizers ids"], 2),
        "ratio_offsets": round(rates["bert_keras offsets"] / rates["tokenizers offsets"], 2),
        "microseconds_per_short_call": {
            name: round(call_microseconds(functions[name], "A short sentence."), 1)
            for name in functions
        },
    }
    for name, rate in rates.items():
        print(f"{name:20} {rate:8.2f} MB/s")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
