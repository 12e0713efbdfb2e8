"""Installs `bert_keras` and the command `bert-keras`."""

from __future__ import annotations

import pathlib

from setuptools import find_packages, setup

_SERVING = ["tensorflow-serving-api~=2.20.0", "grpcio"]
_BEAM = ["apache-beam>=2.77,<3"]
_CHINESE = ["jieba"]
_ONNX = ["onnx"]
# For a GPU: pip install "jax[cuda12]~=0.7.2".
_JAX = ["jax~=0.7.2"]

setup(
    name="bert-keras",
    version="0.1.0",
    description="BERT for Keras 3 and TensorFlow Serving: load, fine-tune, export, serve",
    long_description=pathlib.Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    # bert_keras/tasks and bert_keras/export are links to the folders at the top; a wheel
    # holds their files.
    packages=find_packages(include=["bert_keras", "bert_keras.*"]),
    package_data={"bert_keras": ["py.typed"], "bert_keras.export": ["page/*.html"]},
    install_requires=[
        # tf-models-official fixes the minor version, and the others follow TensorFlow's.
        "tensorflow~=2.20.0",
        "tensorflow-text~=2.20.1",
        "tf-models-official~=2.20.0",
        # Earlier ones lack the 2026 hardening of .keras, HDF5 and npz files (CVE-2026-1669).
        "keras>=3.15.1,<3.16",
        "keras-nlp>=0.32",
        # KerasHub needs it; later ones need a newer protobuf than TensorFlow 2.20 has.
        "sentencepiece<0.2.2",
        "tensorflow-datasets",
        # tensorflow-datasets imports it on every Python but asks for it only below 3.9.
        "importlib_resources",
        "absl-py",
        "numpy",
        "safetensors",
        "tokenizers",
        # tensorflow-datasets brings it; Parquet files are read with it.
        "pyarrow",
        # tf-models-official brings these too.
        "matplotlib",
        "scikit-learn",
        "scipy",
    ],
    extras_require={
        "serving": _SERVING,
        "beam": _BEAM,
        "chinese": _CHINESE,
        "jax": _JAX,
        "onnx": _ONNX,
        "test": [
            *_SERVING,
            *_BEAM,
            *_CHINESE,
            *_JAX,
            *_ONNX,
            "datasets",
            "hypothesis",
            "mypy",
            "onnxruntime",
            "pytest",
            "pytest-xdist",
            "ruff",
        ],
        "bench": [
            "onnx",
            "onnxruntime",
            "psutil",
            "torch==2.13.0",
            "transformers~=4.57.0",
        ],
    },
    entry_points={"console_scripts": ["bert-keras = bert_keras.cli:main"]},
)
