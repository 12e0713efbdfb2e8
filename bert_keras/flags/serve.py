"""Flags of `bert-keras serve`, under tensorflow_model_server's names."""

from __future__ import annotations

from absl import flags


def define() -> flags.FlagValues:
    """Which models, on which port, and how to watch for new versions."""
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
    flags.DEFINE_float(
        "model_config_file_poll_wait_seconds",
        0.0,
        "how often to read the config file again; 0 reads it once",
        lower_bound=0.0,
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
    flags.DEFINE_string(
        "grpc_socket_path",
        "",
        "a Unix socket to listen on for gRPC, beside the port",
        flag_values=values,
    )
    _define_rest(values)
    _define_versions(values)
    _define_calls(values)
    return values


def _define_rest(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "rest_api_port",
        None,
        "port of the REST API and the web page; 0 takes a free one and says which",
        lower_bound=0,
        upper_bound=65535,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "rest_api_num_threads",
        None,
        "REST requests that are worked on at once; four for each processor by default",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "rest_api_timeout_in_ms",
        30_000,
        "milliseconds until a REST request has failed; 0 is no limit",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "rest_api_enable_cors_support",
        False,
        "let web pages of other origins call the REST API",
        flag_values=values,
    )
    flags.DEFINE_string(
        "monitoring_config_file",
        None,
        "a MonitoringConfig in text form: the path of the metrics on the REST port",
        flag_values=values,
    )


def _define_versions(values: flags.FlagValues) -> None:
    flags.DEFINE_float(
        "file_system_poll_wait_seconds",
        1.0,
        "how often to look for a new version; 0 looks once",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_num_load_retries",
        5,
        "how often to try again to load a version that failed",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "load_retry_interval_micros",
        1_000_000,
        "microseconds between two tries",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "allow_version_labels_for_unavailable_models",
        False,
        "let --model_config_file label versions that are not loaded yet",
        flag_values=values,
    )


def _define_calls(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "grpc_max_threads",
        0,
        "gRPC calls that run at once; 0 takes four for each CPU, at least 16",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_string(
        "grpc_channel_arguments",
        "",
        "gRPC's own options, such as grpc.max_receive_message_length=4194304, with commas",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "enable_batching", False, "let calls that arrive together share a run", flag_values=values
    )
    flags.DEFINE_string(
        "batching_parameters_file",
        None,
        "BatchingParameters in text form, for --enable_batching",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "enable_per_model_batching_parameters",
        False,
        "take all but the threads from batching_params.pbtxt beside each version",
        flag_values=values,
    )
