"""One file per task: its Keras model, its preprocessing, its metrics."""

from bert_keras.tasks.answering import AnsweringTask
from bert_keras.tasks.base import BertTask
from bert_keras.tasks.entity_answers import Entity, Tagging
from bert_keras.tasks.fill_mask import FillMask
from bert_keras.tasks.filled_text import Fill, FilledText
from bert_keras.tasks.fine_tuned import FineTunedTask, Prepared
from bert_keras.tasks.pretrainer import BertPretrainer
from bert_keras.tasks.registry import TASKS, task_of
from bert_keras.tasks.text_classifier import Classification, TextClassifier
from bert_keras.tasks.token_tagger import TokenTagger

__all__ = [
    "TASKS",
    "AnsweringTask",
    "BertPretrainer",
    "BertTask",
    "Classification",
    "Entity",
    "Fill",
    "FillMask",
    "FilledText",
    "FineTunedTask",
    "Prepared",
    "Tagging",
    "TextClassifier",
    "TokenTagger",
    "task_of",
]
