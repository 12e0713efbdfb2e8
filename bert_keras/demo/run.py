"""The demo: docstrings, vocabulary, task, training, baselines, export and server, in stages."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import pathlib
import shlex
import sys
from collections.abc import Sequence

from bert_keras.demo import corpus as corpora
from bert_keras.demo import learning, serving, task
from bert_keras.demo.stages import Result, Stages
from bert_keras.demo.story import Story
from bert_keras.errors import UserError

_STAGES = 6
MODEL_NAME = "docstrings"
# The servable, and the folder with the model it was made from.
_SERVABLE = f"serving/{MODEL_NAME}/1"
_MODEL = "finetune/model"


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demo; the defaults take about four minutes on two processor cores.

    `roots` are the folders whose packages are read, those of this interpreter by default;
    `most_training_examples` bounds the training time on machines with many packages.
    """

    roots: tuple[pathlib.Path, ...] = ()
    vocabulary_size: int = 8000
    most_training_examples: int = 100_000
    learning: learning.LearningSettings = learning.LearningSettings()


def run_demo(output_dir: pathlib.Path, settings: DemoSettings | None = None) -> None:
    """Runs all stages, or those that an earlier run in the same folder has not completed.

    Raises:
        UserError: the folder is a file or cannot be made, the packages for serving are
            missing, or there are too few packages to learn from.
    """
    settings = settings or DemoSettings()
    _check(output_dir)
    _make_output_safe()
    story, stages = Story(_STAGES), Stages(output_dir, _recipe())
    print(f"bert-keras demo: everything it makes is in {output_dir.resolve()}")
    roots = list(settings.roots) or corpora.package_roots()
    _gather(story, stages, output_dir, roots)
    _vocabulary(story, stages, output_dir, settings.vocabulary_size)
    _task(story, stages, output_dir, settings.most_training_examples)
    _learn(story, stages, output_dir, settings.learning)
    _export(story, stages, output_dir)
    story.stage("Serve the model and ask it over gRPC")
    serving.ask(story, MODEL_NAME, output_dir / "serving" / MODEL_NAME)
    _next_steps(story, output_dir)


def _check(output_dir: pathlib.Path) -> None:
    if output_dir.exists() and not output_dir.is_dir():
        raise UserError(f"--output_dir={output_dir}: is a file, expected a folder")
    # Better now than after minutes of training.
    for module in ("grpc", "tensorflow_serving"):
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"the package {module} is not installed, expected pip install 'bert-keras[serving]'"
            )
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output_dir={output_dir}: cannot be made a folder ({error.strerror})"
        ) from None


def _recipe() -> str:
    """A digest of the code that makes data and model, so that an update does not reuse old ones."""
    digest = hashlib.sha256()
    for module in ("corpus", "docstrings", "task", "learning", "baselines"):
        digest.update(pathlib.Path(__file__).with_name(f"{module}.py").read_bytes())
    return digest.hexdigest()


def _make_output_safe() -> None:
    """Characters that the terminal's encoding lacks are replaced, instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _gather(
    story: Story, stages: Stages, folder: pathlib.Path, roots: Sequence[pathlib.Path]
) -> None:
    story.stage("Gather English from the docstrings of the installed packages")

    def work() -> Result:
        corpus = corpora.gather(roots, story.progress)
        corpora.save(corpus, folder / "corpus.jsonl")
        packages = {function.source.split("/")[0] for function in corpus.functions}
        return {
            "files": corpus.files,
            "found": corpus.found,
            "functions": len(corpus.functions),
            "packages": len(packages),
            "megabytes": round(corpus.megabytes(), 1),
        }

    outcome = stages.run("corpus", {"roots": list(map(str, roots))}, ["corpus.jsonl"], work)
    if outcome.reused:
        story.reused()
    story.line(
        "{files:,} source files of {packages} packages; {found:,} documented functions, "
        "{functions:,} without repeats; {megabytes} MB of prose".format(**outcome.result)
    )


def _vocabulary(story: Story, stages: Stages, folder: pathlib.Path, size: int) -> None:
    story.stage("Train a WordPiece vocabulary on it")

    def work() -> Result:
        # Imported here because it brings TensorFlow with it.
        from bert_keras.tokenization import vocabulary_training

        functions = corpora.load(folder / "corpus.jsonl")
        texts = [paragraph for function in functions for paragraph in function.paragraphs]
        texts += [task.signature_words(f.name, f.arguments) for f in functions]
        tokens = vocabulary_training.train_vocabulary(texts, size, alphabet_size=200)
        vocabulary_training.write_vocabulary(folder / "vocab.txt", tokens)
        return {"tokens": len(tokens), "longest": sorted(tokens, key=len)[-5:]}

    outcome = stages.run("vocabulary", {"size": size}, ["vocab.txt"], work)
    if outcome.reused:
        story.reused()
    story.line(f"{outcome.result['tokens']:,} tokens in {folder / 'vocab.txt'}")
    story.line(f"the longest: {', '.join(outcome.result['longest'])}")


def _task(story: Story, stages: Stages, folder: pathlib.Path, most: int) -> None:
    story.stage("Make a labelled task of it that word counts cannot solve")

    def work() -> Result:
        examples = task.make_examples(corpora.load(folder / "corpus.jsonl"))
        splits = task.split_by_package(examples)
        splits["train"] = task.spread(splits["train"], most)
        sizes = {}
        for name, part in splits.items():
            if not part:
                raise UserError(f"demo: too few documented functions for a {name} set")
            task.write_tsv(folder / "data" / f"{name}.tsv", part)
            sizes[name] = len(part)
        shown = [dataclasses.astuple(e)[:3] for e in task.spread(splits["test"], 4)]
        return {"sizes": sizes, "examples": shown}

    outcome = stages.run("task", {"most": most}, ["data"], work)
    if outcome.reused:
        story.reused()
    story.say(
        "Is this sentence, beside the function that it describes, as its author wrote it, or "
        "are the parts around a preposition exchanged? Both have the same words. Train, dev "
        "and test examples come from different packages."
    )
    for text, pair, label in outcome.result["examples"]:
        story.line(f"{label:<10}  {text}  |  {pair}")
    sizes = ", ".join(f"{count:,} {name}" for name, count in outcome.result["sizes"].items())
    story.line(f"examples: {sizes}")


def _learn(
    story: Story, stages: Stages, folder: pathlib.Path, settings: learning.LearningSettings
) -> None:
    story.stage("Train a small BERT from random weights, as bert-keras finetune does")
    outcome = stages.run(
        "finetune",
        dataclasses.asdict(settings),
        ["start", "finetune"],
        lambda: learning.fine_tune(folder, settings),
        resumable=True,
    )
    if outcome.reused:
        story.reused()
    scores = stages.run("scores", {}, [], lambda: learning.score(folder, folder / _MODEL))
    story.line(f"accuracy on {scores.result['examples']:,} test examples of unseen packages:")
    for name in ("majority", "bag_of_words", "bert"):
        title = learning.TITLES[name]
        story.line(f"  {title:<48} {scores.result[name]:.3f}")


def _export(story: Story, stages: Stages, folder: pathlib.Path) -> None:
    story.stage("Export it: one SavedModel, strings in, answers out")
    outcome = stages.run(
        "export", {}, [_SERVABLE], lambda: serving.export(folder / _MODEL, folder / _SERVABLE)
    )
    if outcome.reused:
        story.reused()
    story.line(f"{folder / _SERVABLE}: {outcome.result['megabytes']:.1f} MB")


def _next_steps(story: Story, folder: pathlib.Path) -> None:
    """Commands and code that work as they stand, whatever the current folder."""
    model, servable = folder.resolve() / _MODEL, folder.resolve() / "serving" / MODEL_NAME
    question = '{"text": "Sort the list by length", "text_pair": "sort ( list )"}'
    print(f"\nDone in {story.seconds():.0f} s. What to do next:\n")
    print("Serve it (TensorFlow Serving takes the same folder):")
    path = shlex.quote(str(servable))
    story.line(f"bert-keras serve --model_name={MODEL_NAME} --model_base_path={path}")
    print("Ask it, in a pipe or from a file:")
    path = shlex.quote(str(model))
    story.line(f"echo '{question}' | bert-keras predict --model={path} --input=-")
    print("Fine-tune a BERT on your own files, with the columns text and label:")
    story.line("bert-keras finetune --init=BERT_DIR --train=train.tsv --dev=dev.tsv \\")
    story.line("    --output_dir=run       # BERT_DIR: any BERT in Hugging Face's format")
    print("Use it in Keras:")
    story.line("import bert_keras as bk")
    story.line(f"model = bk.tasks.TextClassifier.from_pretrained({str(model)!r})")
    story.line('model.predict((["Sort the list by length"], ["sort ( list )"]))')
