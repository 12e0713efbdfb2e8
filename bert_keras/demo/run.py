"""The demo: docstrings, task, vocabulary, pretraining, fine-tuning, export, server, in stages."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import pathlib
import shlex
import sys

from bert_keras.demo import corpus as corpora
from bert_keras.demo import data_stages, learning, model_stages, pretraining, serving
from bert_keras.demo.model_stages import MODEL, MODEL_NAME
from bert_keras.demo.stages import Stages
from bert_keras.demo.story import Story
from bert_keras.errors import UserError

_STAGES = 8
# The modules that decide what comes out.
_MODULES = ("corpus", "docstrings", "task", "text", "pretraining", "learning", "baselines")


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demo; the defaults take five to six minutes on two processor cores.

    `roots` are the folders whose packages are read, those of this interpreter by default;
    `most_training_examples` is fewer than the text has, as labels are scarce where text is not;
    `size` is that of the model, by the name that `--init=size:NAME` takes.
    """

    roots: tuple[pathlib.Path, ...] = ()
    vocabulary_size: int = 8000
    most_training_examples: int = 20_000
    size: str = "tiny"
    pretraining: pretraining.PretrainingRecipe = pretraining.PretrainingRecipe()
    learning: learning.LearningSettings = learning.LearningSettings()


def run_demo(output_dir: pathlib.Path, settings: DemoSettings | None = None) -> None:
    """Runs all stages, or those that an earlier run in the same folder has not completed.

    Raises:
        UserError: the folder is a file or cannot be made, the packages for serving are
            missing, or there are too few packages to learn from.
        SystemExit: a signal asked pretraining to stop; the next run goes on from there.
    """
    settings = settings or DemoSettings()
    _check(output_dir)
    _make_output_safe()
    story, stages = Story(_STAGES), Stages(output_dir, _recipe())
    print(f"bert-keras demo: everything it makes is in {output_dir.resolve()}")
    roots = list(settings.roots) or corpora.package_roots()
    data_stages.gather(story, stages, output_dir, roots)
    unseen = data_stages.make_task(story, stages, output_dir, settings.most_training_examples)
    data_stages.make_vocabulary(story, stages, output_dir, settings.vocabulary_size, unseen)
    model_stages.pretrain(story, stages, output_dir, settings.size, settings.pretraining)
    model_stages.fine_tune(story, stages, output_dir, settings.learning)
    model_stages.show_table(story, stages, output_dir)
    model_stages.export(story, stages, output_dir)
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
    for module in _MODULES:
        digest.update(pathlib.Path(__file__).with_name(f"{module}.py").read_bytes())
    return digest.hexdigest()


def _make_output_safe() -> None:
    """Characters that the terminal's encoding lacks are replaced, instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _next_steps(story: Story, folder: pathlib.Path) -> None:
    """Commands and code that work as they stand, whatever the current folder."""
    model, servable = folder.resolve() / MODEL, folder.resolve() / "serving" / MODEL_NAME
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
