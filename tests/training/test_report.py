"""report.html is one file that needs no other."""

from __future__ import annotations

import html.parser
import re

from bert_keras.training.report import write_report

_ROWS = [
    {"step": 10, "mlm_loss": 9.0, "mlm_accuracy": 0.01, "learning_rate": 1e-5},
    {"step": 20, "mlm_loss": 8.0, "mlm_accuracy": 0.02, "learning_rate": 2e-5},
    {"step": 20, "eval_mlm_loss": 8.5, "eval_mlm_accuracy": 0.015},
]


class _Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("meta", "path", "use", "rect", "line"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page_is_whole_and_self_contained(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, _ROWS, {"corpus": "<b>&co</b>", "learning_rate": 1e-4, "steps": ["1", "2"]})
    text = path.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.tags.count("svg") == 1 and page.open == []
    # References inside the page and names of XML's vocabularies are all the links there are.
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "&lt;b&gt;&amp;co&lt;/b&gt;" in text and "1, 2" in text
    # What the log does not have is not shown.
    assert "eval_mlm_loss" in text and "nsp" not in text


def test_the_same_log_gives_the_same_curves(tmp_path):
    for name in ("a", "b"):
        write_report(tmp_path / name, _ROWS, {})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
