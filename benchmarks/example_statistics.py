"""Statistics of pretraining examples beside google-research/bert's create_pretraining_data.py.

    python benchmarks/example_statistics.py --google=CHECKOUT_OF_GOOGLE_RESEARCH_BERT \\
        --vocab=vocab.txt --text='books/*/*.md' --megabytes=4 --dupe_factor=12

Both sides get the same sentences (one a line, a chapter a document) and the same vocabulary. The
original runs --runs times, each with a seed of its own, for each kind of masking, with
TensorFlow's compat.v1 in the place of the TensorFlow 1 it was written for; ours as often, and that
--repeats times over.

Examples of one document are not independent (they share a target length), so textbook errors are
too small. The spread of our repeats is the sampling error: z is the distance of the original from
our mean in units of it. For distributions, p is the share of our repeats that are at least as far
from all the others as the original is, by two-sample chi-square and Kolmogorov-Smirnov distance.
"""

from __future__ import annotations

import argparse
import glob
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterator, Sequence

import numpy as np

from bert_keras.data.pretraining_examples import ExampleSettings, StoreExamples
from bert_keras.data.window import Window
from bert_keras.tokenization import BertTokenizer

SEQ_LENGTH, PREDICTIONS = 128, 20
_CHAPTER = re.compile(r"^#.*$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’]?\s+")
# Runs the original as a script, TensorFlow 2 standing in.
_SHIM = """
import runpy, sys
import tensorflow.compat.v1 as tf
sys.modules["tensorflow"] = tf
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[1:]
sys.argv[0] += "/create_pretraining_data.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""

Arrays = dict[str, np.ndarray]
Document = list[str]


def read_documents(patterns: Sequence[str], megabytes: float) -> list[Document]:
    """Chapters as lists of sentences."""
    documents: list[Document] = []
    size = 0
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern)):
        for chapter in _CHAPTER.split(pathlib.Path(path).read_text("utf-8")):
            sentences = [" ".join(part.split()) for part in _SENTENCE_END.split(chapter)]
            sentences = [sentence for sentence in sentences if re.search(r"\w", sentence)]
            if len(sentences) > 1:
                documents.append(sentences)
                size += sum(map(len, sentences))
            if size >= megabytes * 1e6:
                return documents
    return documents


class MemoryCorpus:
    """Tokenized documents with the interface of a corpus store; each is a block."""

    directory = "the corpus"

    def __init__(self, documents: Sequence[Document], vocab: str):
        self._tokenizer = BertTokenizer(vocab, lowercase=True)
        self._documents = []
        for document in documents:
            ids = self._tokenizer.tokenize(document)
            lengths = ids.row_lengths().numpy()
            self._documents.append((ids.flat_values.numpy(), lengths[lengths > 0]))
        self.blocks = len(documents)
        tokens = sum(len(ids) for ids, _ in self._documents)
        self.manifest = types.SimpleNamespace(tokens=tokens, documents=len(documents))

    def tokenizer(self) -> BertTokenizer:
        """The one the documents were tokenized with."""
        return self._tokenizer

    def read_blocks(self, blocks: Sequence[int]) -> Window:
        """The documents of those numbers."""
        parts = [self._documents[block] for block in blocks]
        lengths = np.concatenate([lengths for _, lengths in parts])
        return Window(
            tokens=np.concatenate([ids for ids, _ in parts]).astype(np.uint16),
            sentences=np.concatenate([[0], np.cumsum(lengths)]),
            sections=np.cumsum([0, *(len(lengths) for _, lengths in parts)]),
            documents=np.asarray(blocks),
            words=None,
        )


def run_original(
    google: str,
    vocab: str,
    documents: Sequence[Document],
    folder: pathlib.Path,
    whole_word: bool,
    seed: int,
    dupe_factor: int,
) -> pathlib.Path:
    """Writes the original's TFRecord, unless it is there from an earlier run."""
    text, output = folder / "corpus.txt", folder / f"original_{whole_word}_{seed}.tfrecord"
    text.write_text("\n\n".join("\n".join(document) for document in documents) + "\n", "utf-8")
    if not output.exists():
        flags = {
            "input_file": text,
            "output_file": output.with_suffix(".partial"),
            "vocab_file": vocab,
            "do_lower_case": True,
            "do_whole_word_mask": whole_word,
            "max_seq_length": SEQ_LENGTH,
            "max_predictions_per_seq": PREDICTIONS,
            "dupe_factor": dupe_factor,
            "random_seed": seed,
        }
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        command = [sys.executable, "-c", _SHIM, google, *arguments]
        with open(folder / "original.log", "a", encoding="utf-8") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log)
        output.with_suffix(".partial").rename(output)
    return output


def read_original(path: pathlib.Path) -> Arrays:
    """All examples of a TFRecord, under our names."""
    import tensorflow as tf

    names = {
        "input_ids": ("token_ids", SEQ_LENGTH, tf.int64),
        "input_mask": ("padding_mask", SEQ_LENGTH, tf.int64),
        "segment_ids": ("segment_ids", SEQ_LENGTH, tf.int64),
        "masked_lm_positions": ("mask_positions", PREDICTIONS, tf.int64),
        "masked_lm_ids": ("mask_ids", PREDICTIONS, tf.int64),
        "masked_lm_weights": ("mask_weights", PREDICTIONS, tf.float32),
        "next_sentence_labels": ("next_sentence_labels", 1, tf.int64),
    }
    spec = {name: tf.io.FixedLenFeature([n], dtype) for name, (_, n, dtype) in names.items()}
    batches = tf.data.TFRecordDataset([str(path)]).batch(4096)
    parsed = [tf.io.parse_example(batch, spec) for batch in batches]
    return {
        ours: np.concatenate([np.squeeze(each[name].numpy().astype(np.int32)) for each in parsed])
        for name, (ours, _, _) in names.items()
    }


def make_ours(corpus: MemoryCorpus, masking: str, seed: int, epochs: int) -> Iterator[Arrays]:
    """The examples of each epoch, whose second sentences are checked to be from elsewhere."""
    settings = ExampleSettings(masking=masking, max_predictions=PREDICTIONS, seed=seed)
    source = StoreExamples(corpus, settings)  # type: ignore[arg-type]
    for epoch in range(epochs):
        window = source.window(epoch, 0)
        first, second = (
            document_of(window.text, starts)
            for starts in (window.plan.first_starts, window.plan.second_starts)
        )
        if ((first == second) == window.plan.random_next).any():
            raise AssertionError("a random second sentence from the same document")
        for part in np.array_split(np.arange(len(window)), max(1, len(window) // 512)):
            yield window.batch(part)


def document_of(text: Window, tokens: np.ndarray) -> np.ndarray:
    """The document that each token belongs to."""
    bounds = text.sentences[text.sections]
    return text.documents[np.searchsorted(bounds, tokens, side="right") - 1]


class Summary:
    """Sums over examples: enough for every share, and histograms."""

    def __init__(self, continues: np.ndarray, mask_id: int):
        self._continues = continues
        self._mask_id = mask_id
        self.counts: dict[str, float] = {}
        self.histograms: dict[str, np.ndarray] = {}

    def add(self, batch: Arrays) -> None:
        """Counts a batch."""
        real, weights = batch["padding_mask"].astype(bool), batch["mask_weights"] > 0
        lengths, predicted = real.sum(axis=1), weights.sum(axis=1)
        second = (batch["segment_ids"] == 1).sum(axis=1) - 1
        first = lengths - second - 3
        rows = np.arange(len(lengths))
        original = batch["token_ids"].copy()
        at = (np.nonzero(weights)[0], batch["mask_positions"][weights])
        shown, wanted = original[at], batch["mask_ids"][weights]
        original[at] = wanted
        random = shown[(shown != self._mask_id) & (shown != wanted)]
        budget = np.minimum(PREDICTIONS, np.maximum(1, np.rint(lengths * 0.15)))
        self._count(
            examples=len(lengths),
            tokens=lengths.sum(),
            full=(lengths == SEQ_LENGTH).sum(),
            short=(lengths < SEQ_LENGTH // 2).sum(),
            first=first.sum(),
            second=second.sum(),
            random_next=batch["next_sentence_labels"].sum(),
            first_cut=self._continues[original[:, 1]].sum(),
            second_cut=self._continues[original[rows, first + 2]].sum(),
            predicted=predicted.sum(),
            off_budget=(predicted != budget).sum(),
            masked=(shown == self._mask_id).sum(),
            kept=(shown == wanted).sum(),
            random=len(random),
            random_ids=random.sum(dtype=np.int64),
            pieces=self._continues[wanted].sum(),
            positions=batch["mask_positions"][weights].sum(),
        )
        self._tally("tokens of an example", lengths, SEQ_LENGTH + 1)
        self._tally("tokens of A", first, SEQ_LENGTH + 1)
        self._tally("tokens of B", second, SEQ_LENGTH + 1)
        self._tally("predictions of an example", predicted, PREDICTIONS + 1)
        self._tally("masked positions", batch["mask_positions"][weights], SEQ_LENGTH)
        self._tally("random pieces, by id / 1024", random // 1024, 30)

    def _count(self, **amounts: float) -> None:
        for name, amount in amounts.items():
            self.counts[name] = self.counts.get(name, 0) + float(amount)

    def _tally(self, name: str, values: np.ndarray, size: int) -> None:
        counts = np.bincount(values, minlength=size)
        self.histograms[name] = self.histograms.get(name, np.zeros(size, np.int64)) + counts

    def shares(self) -> dict[str, float]:
        """The statistics, by the name in the table."""
        count = self.counts
        examples, predicted = count["examples"], count["predicted"]
        return {
            "examples": examples,
            "tokens of an example, mean": count["tokens"] / examples,
            "full examples (128 tokens)": count["full"] / examples,
            "short examples (< 64 tokens)": count["short"] / examples,
            "tokens of A, mean": count["first"] / examples,
            "tokens of B, mean": count["second"] / examples,
            "random next sentence": count["random_next"] / examples,
            "A begins inside a word": count["first_cut"] / examples,
            "B begins inside a word": count["second_cut"] / examples,
            "predicted of all tokens": predicted / count["tokens"],
            "predictions other than the budget": count["off_budget"] / examples,
            "predicted: [MASK]": count["masked"] / predicted,
            "predicted: as it was": count["kept"] / predicted,
            "predicted: random piece": count["random"] / predicted,
            "id of a random piece, mean": count["random_ids"] / count["random"],
            "predicted: a ## piece": count["pieces"] / predicted,
            "position of a prediction, mean": count["positions"] / predicted,
        }


def chi_square(one: np.ndarray, other: np.ndarray) -> float:
    """Two-sample chi-square distance of histograms."""
    filled = one + other > 0
    a, b = one[filled].astype(float), other[filled].astype(float)
    ratio = np.sqrt(b.sum() / a.sum())
    return float(((a * ratio - b / ratio) ** 2 / (a + b)).sum())


def kolmogorov_smirnov(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of the cumulative shares."""
    return float(np.abs(np.cumsum(one) / one.sum() - np.cumsum(other) / other.sum()).max())


def print_tables(original: Summary, ours: Sequence[Summary]) -> None:
    """The comparison as Markdown."""
    print(
        "| statistic | original | ours, mean | ours, s.d. of a repeat | z |\n|---|---|---|---|---|"
    )
    runs = [summary.shares() for summary in ours]
    for name, value in original.shares().items():
        values = np.array([run[name] for run in runs])
        mean, deviation = values.mean(), values.std(ddof=1)
        # The mean has an error of its own.
        error = deviation * np.sqrt(1 + 1 / len(values))
        z = f"{(value - mean) / error:+.2f}" if error else "equal" if value == mean else "DIFFERS"
        print(f"| {name} | {value:.7g} | {mean:.7g} | {deviation:.2g} | {z} |")
    print("\n| distribution | chi-square | p | Kolmogorov-Smirnov | p |\n|---|---|---|---|---|")
    for name, histogram in original.histograms.items():
        seeds = [summary.histograms[name] for summary in ours]
        total = np.sum(seeds, axis=0)
        cells = []
        for distance in (chi_square, kolmogorov_smirnov):
            theirs = distance(histogram, total)
            spread = np.array([distance(seed, total - seed) for seed in seeds])
            cells.append(f"{theirs:.4g} | {(spread >= theirs).mean():.2f}")
        print(f"| {name} | {' | '.join(cells)} |")


def compare(arguments: argparse.Namespace, folder: pathlib.Path) -> None:
    """Runs both sides and prints."""
    documents = read_documents(arguments.text, arguments.megabytes)
    corpus = MemoryCorpus(documents, arguments.vocab)
    pieces = corpus.tokenizer().vocabulary
    continues = np.array([piece.startswith("##") for piece in pieces])
    print(f"{len(documents)} documents, {corpus.manifest.tokens:,} tokens")
    for masking in ("token", "whole_word"):
        original = Summary(continues, corpus.tokenizer().mask_id)
        started = time.monotonic()
        for seed in range(arguments.runs):
            path = run_original(
                arguments.google,
                arguments.vocab,
                documents,
                folder,
                masking == "whole_word",
                seed,
                arguments.dupe_factor,
            )
            original.add(read_original(path))
        seconds = (time.monotonic() - started) / arguments.runs
        ours = [Summary(continues, corpus.tokenizer().mask_id) for _ in range(arguments.repeats)]
        started = time.monotonic()
        for seed in range(arguments.repeats * arguments.runs):
            for batch in make_ours(corpus, masking, seed, arguments.dupe_factor):
                ours[seed // arguments.runs].add(batch)
        each = (time.monotonic() - started) / arguments.repeats / arguments.runs
        print(
            f"\n## masking {masking}: a run takes the original {seconds:.0f} s, ours {each:.1f} s\n"
        )
        print_tables(original, ours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--google", required=True, help="checkout of google-research/bert")
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--text", required=True, nargs="+", help="text files with # headings")
    parser.add_argument("--megabytes", type=float, default=4)
    parser.add_argument("--dupe_factor", type=int, default=12)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--keep", help="folder for the original's output, reused if it is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(arguments.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        compare(arguments, folder)


if __name__ == "__main__":
    main()
