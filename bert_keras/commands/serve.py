"""`bert-keras serve`: the development server."""

from __future__ import annotations

from absl import flags

from bert_keras.commands.loading import serving_needed


def run(values: flags.FlagValues) -> int:
    """Serves until it is told to stop.

    Raises:
        UserError: the gRPC stubs are not installed, or see `export.server.serve_forever`.
    """
    try:
        from bert_keras.export.server import serve_forever
    except ModuleNotFoundError as error:
        raise serving_needed(error) from None
    serve_forever(**values.flag_values_dict())
    return 0
