"""`python -m bert_keras VERB --flags`."""

from __future__ import annotations

import sys

from bert_keras.cli import main

if __name__ == "__main__":
    sys.exit(main())
