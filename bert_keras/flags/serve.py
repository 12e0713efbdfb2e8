"""Flags of `bert-keras serve`, under tensorflow_model_server's names."""

from __future__ import annotations

from absl import flags


def define() -> flags.FlagValues:
    """Which models, on which port."""
    values = flags.FlagValues()
    flags.DEFINE_string("model_name", "default", "name of the one model", flag_values=values)
    flags.DEFINE_string(
        "model_base_path", None, "BASE/NAME, whose numbered folders it serves", flag_values=values
    )
    flags.DEFINE_string(
        "model_config_file",
        None,
        "a ModelServerConfig in text form, for several models",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "port",
        8500,
        "gRPC port; 0 takes a free one and says which",
        lower_bound=0,
        upper_bound=65535,
        flag_values=values,
    )
    flags.DEFINE_float(
        "file_system_poll_wait_seconds",
        1.0,
        "how often to look for a new version; 0 looks once",
        lower_bound=0.0,
        flag_values=values,
    )
    return values
