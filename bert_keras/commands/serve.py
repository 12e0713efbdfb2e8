"""`bert-keras serve`: the development server."""

from __future__ import annotations

from absl import flags

from bert_keras.errors import UserError


def run(values: flags.FlagValues) -> int:
    """Serves until it is told to stop.

    Raises:
        UserError: the gRPC stubs are not installed, or see `export.server.serve_forever`.
    """
    try:
        from bert_keras.export.server import serve_forever
    except ModuleNotFoundError as error:
        if error.name not in ("grpc", "tensorflow_serving"):
            raise
        raise UserError(
            f"the package {error.name} is not installed, expected pip install 'bert-keras[serving]'"
        ) from error
    serve_forever(**values.flag_values_dict())
    return 0
