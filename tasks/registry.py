"""The tasks by the name that `--task` knows them by."""

from __future__ import annotations

from typing import TypeVar

from bert_keras.checkpoints import Checkpoint
from bert_keras.tasks.answering import AnsweringTask
from bert_keras.tasks.fill_mask import FillMask
from bert_keras.tasks.fine_tuned import FineTunedTask
from bert_keras.tasks.multi_label_classifier import MultiLabelClassifier
from bert_keras.tasks.multiple_choice import MultipleChoice
from bert_keras.tasks.question_answerer import QuestionAnswerer
from bert_keras.tasks.sentence_embedder import SentenceEmbedder
from bert_keras.tasks.text_classifier import TextClassifier
from bert_keras.tasks.text_regressor import TextRegressor
from bert_keras.tasks.token_tagger import TokenTagger

_ALL: tuple[type[FineTunedTask], ...] = (
    TextClassifier,
    TextRegressor,
    TokenTagger,
    QuestionAnswerer,
    MultipleChoice,
    SentenceEmbedder,
)

T = TypeVar("T", bound=type[FineTunedTask])

TASKS: dict[str, type[FineTunedTask]] = {task.task_name: task for task in _ALL}


def register(task: T) -> T:
    """Makes the verbs of this process know a task of one's own; a decorator of its class."""
    TASKS[task.task_name] = task
    return task


def task_of(checkpoint: Checkpoint) -> type[AnsweringTask] | None:
    """The task that a checkpoint was trained for, None where it is for none of them.

    Raises:
        UserError: it is a task's, but of a kind that is not known.
    """
    # A task of one's own may save an architecture that one of these saves too.
    registered = [task for task in TASKS.values() if task not in _ALL]
    known: list[type[AnsweringTask]] = [*registered, *_ALL, MultiLabelClassifier, FillMask]
    return next((task for task in known if task.recognises(checkpoint)), None)
