"""`bert-keras serve` hands its flags to the server under the server's own names."""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import pytest

from bert_keras import cli, flags


def test_flags_are_the_server_s_arguments() -> None:
    pytest.importorskip("tensorflow_serving", reason="the extra `serving` is not installed")
    from bert_keras.export.server import serve_forever

    parameters = inspect.signature(serve_forever).parameters
    values = flags.define("serve")
    for name in values:
        assert values[name].default == parameters[name].default


def test_values_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    server = types.ModuleType("bert_keras.export.server")
    server.serve_forever = lambda **values: seen.update(values)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, server.__name__, server)
    assert cli.main(["serve", "--model_name=m", "--model_base_path=b", "--port=0"]) == 0
    assert (seen["model_name"], seen["model_base_path"], seen["port"]) == ("m", "b", 0)
    assert seen["file_system_poll_wait_seconds"] == 1.0


def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "bert_keras.export.server", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert cli.main(["serve", "--model_base_path=b"]) == 2
    assert "pip install 'bert-keras[serving]'" in capsys.readouterr().err


def test_nothing_to_serve(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorflow_serving", reason="the extra `serving` is not installed")
    assert cli.main(["serve"]) == 2
    assert "--model_base_path: expected a folder of versions" in capsys.readouterr().err


def test_a_port_out_of_range(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--model_base_path=b", "--port=70000"]) == 2
    assert "--port=70000 is not valid, expected" in capsys.readouterr().err
