"""Model config files: what is read, and one line for what is wrong with them."""

from __future__ import annotations

import pathlib

import pytest

from bert_keras.errors import UserError
from bert_keras.export.server_config import read_model_config_file
from bert_keras.export.versions import ModelConfig, VersionPolicy

GOOD = """
model_config_list {
  config { name: "a" base_path: "/models/a" model_platform: "tensorflow" }
  config {
    name: "b" base_path: "/models/b" model_platform: "tensorflow"
    model_version_policy { specific { versions: 3 versions: 5 } }
    version_labels { key: "stable" value: 3 }
  }
  config {
    name: "c" base_path: "/models/c" model_platform: "tensorflow"
    model_version_policy { all {} }
  }
  config {
    name: "d" base_path: "/models/d" model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 2 } }
  }
}
"""


def write(folder: pathlib.Path, text: str) -> pathlib.Path:
    path = folder / "models.config"
    path.write_text(text)
    return path


def test_models_policies_and_labels(tmp_path: pathlib.Path) -> None:
    models = read_model_config_file(write(tmp_path, GOOD), allow_labels=True)
    assert models == [
        ModelConfig("a", pathlib.Path("/models/a")),
        ModelConfig("b", pathlib.Path("/models/b"), VersionPolicy(specific=(3, 5)), {"stable": 3}),
        ModelConfig("c", pathlib.Path("/models/c"), VersionPolicy(latest=None)),
        ModelConfig("d", pathlib.Path("/models/d"), VersionPolicy(latest=2)),
    ]


def one(fields: str) -> str:
    return f"model_config_list {{ config {{ {fields} }} }}"


PLATFORM = 'model_platform: "tensorflow"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model_config_list {\n  conf {}\n}",
            r"config:2: Error parsing text-format tensorflow.serving.ModelServerConfig: ",
        ),
        ("", "expected model_config_list"),
        (one(f'name: "a" base_path: "rel" {PLATFORM}'), r"absolute path or URI; got .*=rel"),
        (one('name: "a" base_path: "/a"'), "neither ModelServerConfig::model_type"),
        (one('name: "a" base_path: "/a" model_platform: "jax"'), "a requests unsupported platform"),
        (
            one(f'name: "a" base_path: "/a" {PLATFORM} model_version_policy {{ specific {{}} }}'),
            "specific names no versions",
        ),
        (GOOD, "label to version 3 of model b, which is not currently available"),
        (GOOD.replace('"c"', '"a"'), "Illegal to list model a multiple times"),
    ],
)
def test_errors(tmp_path: pathlib.Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_model_config_file(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_model_config_file(tmp_path / "none")
