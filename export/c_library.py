"""TensorFlow's C API, as the pip wheel's own library exports it, bound with ctypes."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import pathlib
import threading
from collections.abc import Iterator

from bert_keras.export.status import StatusError

_POINTER = ctypes.c_void_p


class Buffer(ctypes.Structure):
    """TF_Buffer."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    ]


class Output(ctypes.Structure):
    """TF_Output: one output of one operation."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


# Name: (result, arguments). A missing result type would be cut to 32 bits.
_FUNCTIONS: dict[str, tuple[object, list[object]]] = {
    "TF_NewStatus": (_POINTER, []),
    "TF_DeleteStatus": (None, [_POINTER]),
    "TF_GetCode": (ctypes.c_int, [_POINTER]),
    "TF_Message": (ctypes.c_char_p, [_POINTER]),
    "TF_NewBuffer": (ctypes.POINTER(Buffer), []),
    "TF_DeleteBuffer": (None, [ctypes.POINTER(Buffer)]),
    "TF_NewGraph": (_POINTER, []),
    "TF_DeleteGraph": (None, [_POINTER]),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, ctypes.c_char_p]),
    "TF_OperationNumOutputs": (ctypes.c_int, [_POINTER]),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_DeleteSessionOptions": (None, [_POINTER]),
    "TF_SetConfig": (None, [_POINTER, ctypes.c_char_p, ctypes.c_size_t, _POINTER]),
    "TF_LoadSessionFromSavedModel": (
        _POINTER,
        [
            _POINTER,
            _POINTER,
            ctypes.c_char_p,
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_int,
            _POINTER,
            ctypes.POINTER(Buffer),
            _POINTER,
        ],
    ),
    "TF_CloseSession": (None, [_POINTER, _POINTER]),
    "TF_DeleteSession": (None, [_POINTER, _POINTER]),
    "TF_SessionRun": (
        None,
        [
            _POINTER,
            _POINTER,
            ctypes.POINTER(Output),
            ctypes.POINTER(_POINTER),
            ctypes.c_int,
            ctypes.POINTER(Output),
            ctypes.POINTER(_POINTER),
            ctypes.c_int,
            _POINTER,
            ctypes.c_int,
            _POINTER,
            _POINTER,
        ],
    ),
    "TF_AllocateTensor": (
        _POINTER,
        [ctypes.c_int, ctypes.POINTER(ctypes.c_int64), ctypes.c_int, ctypes.c_size_t],
    ),
    "TF_TensorFromProto": (None, [ctypes.POINTER(Buffer), _POINTER, _POINTER]),
    "TF_DeleteTensor": (None, [_POINTER]),
    "TF_TensorType": (ctypes.c_int, [_POINTER]),
    "TF_NumDims": (ctypes.c_int, [_POINTER]),
    "TF_Dim": (ctypes.c_int64, [_POINTER, ctypes.c_int]),
    "TF_TensorData": (_POINTER, [_POINTER]),
    "TF_TensorByteSize": (ctypes.c_size_t, [_POINTER]),
    "TF_StringGetDataPointer": (_POINTER, [_POINTER]),
    "TF_StringGetSize": (ctypes.c_size_t, [_POINTER]),
    "TF_LoadLibrary": (_POINTER, [ctypes.c_char_p, _POINTER]),
    # tensorflow::DisableXlaCompilation() and its reverse have no name in C.
    "_ZN10tensorflow21DisableXlaCompilationEv": (None, []),
    "_ZN10tensorflow20EnableXlaCompilationEv": (None, []),
}


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded library, every function of `_FUNCTIONS` typed."""
    loaded = ctypes.CDLL(str(_package_folder("tensorflow") / "libtensorflow_cc.so.2"))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype = result
        function.argtypes = arguments
    return loaded


def _package_folder(package: str) -> pathlib.Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"package {package} is not installed", name=package)
    return pathlib.Path(spec.origin).parent


class Status:
    """A TF_Status that lives for a `with` block; `check` raises what it holds."""

    def __enter__(self) -> Status:
        self.pointer = library().TF_NewStatus()
        return self

    def __exit__(self, *exception: object) -> None:
        library().TF_DeleteStatus(self.pointer)

    def check(self) -> None:
        """Raises StatusError unless the call that filled this status succeeded."""
        code = library().TF_GetCode(self.pointer)
        if code:
            message = library().TF_Message(self.pointer).decode("utf-8", errors="replace")
            raise StatusError(code, message)


_op_lock = threading.Lock()


def load_text_ops() -> int:
    """Registers tensorflow-text's operations, as the model server links them in.

    Its Python layer is not imported. Where a program does import it, before or after, the
    runtime knows each file by its path and registers nothing twice.

    Returns:
        The number of operation libraries; 0 where tensorflow-text is not installed.

    Raises:
        StatusError: a library does not fit the installed TensorFlow.
    """
    with _op_lock:
        return _load_text_ops()


@functools.cache
def _load_text_ops() -> int:
    try:
        folder = _package_folder("tensorflow_text")
    except ModuleNotFoundError:
        return 0
    files = sorted(folder.glob("python/**/_*.so"))
    with Status() as status:
        for file in files:
            library().TF_LoadLibrary(str(file).encode(), status.pointer)
            status.check()
    return len(files)


_xla_lock = threading.Lock()
_xla_disabled_by = 0


@contextlib.contextmanager
def without_xla() -> Iterator[None]:
    """XLA is off in the whole process meanwhile, as the model server has it by default.

    Entries count, from any thread: XLA is back when the last one has left.
    """
    global _xla_disabled_by
    with _xla_lock:
        _xla_disabled_by += 1
        library()._ZN10tensorflow21DisableXlaCompilationEv()
    try:
        yield
    finally:
        with _xla_lock:
            _xla_disabled_by -= 1
            if not _xla_disabled_by:
                library()._ZN10tensorflow20EnableXlaCompilationEv()
