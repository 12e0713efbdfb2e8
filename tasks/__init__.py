"""One file per task: its Keras model, its preprocessing, its metrics."""

from bert_keras.tasks.answer_decoding import AnswerCandidate, QuestionAnswer
from bert_keras.tasks.answering import AnsweringTask
from bert_keras.tasks.base import BertTask
from bert_keras.tasks.embedding_answers import Embedding, Similarity
from bert_keras.tasks.entity_answers import Entity, Tagging
from bert_keras.tasks.feature_extractor import FeatureExtractor, TextFeatures
from bert_keras.tasks.fill_mask import FillMask
from bert_keras.tasks.filled_text import Fill, FilledText
from bert_keras.tasks.fine_tuned import FineTunedTask, Prepared
from bert_keras.tasks.multi_label_classifier import (
    MultiLabelClassification,
    MultiLabelClassifier,
)
from bert_keras.tasks.multiple_choice import Choice, MultipleChoice
from bert_keras.tasks.pretrainer import BertPretrainer
from bert_keras.tasks.question_answerer import QuestionAnswerer
from bert_keras.tasks.registry import TASKS, register, task_of
from bert_keras.tasks.sentence_embedder import SentenceEmbedder
from bert_keras.tasks.text_classifier import Classification, TextClassifier
from bert_keras.tasks.text_regressor import Regression, TextRegressor
from bert_keras.tasks.text_search import Match, semantic_search
from bert_keras.tasks.token_tagger import TokenTagger

__all__ = [
    "TASKS",
    "AnswerCandidate",
    "AnsweringTask",
    "BertPretrainer",
    "BertTask",
    "Choice",
    "Classification",
    "Embedding",
    "Entity",
    "FeatureExtractor",
    "Fill",
    "FillMask",
    "FilledText",
    "FineTunedTask",
    "Match",
    "MultiLabelClassification",
    "MultiLabelClassifier",
    "MultipleChoice",
    "Prepared",
    "QuestionAnswer",
    "QuestionAnswerer",
    "Regression",
    "Tagging",
    "SentenceEmbedder",
    "Similarity",
    "TextClassifier",
    "TextFeatures",
    "TextRegressor",
    "TokenTagger",
    "semantic_search",
    "register",
    "task_of",
]
