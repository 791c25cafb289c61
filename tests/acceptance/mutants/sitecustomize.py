"""Loaded by Python at start-up where this folder is on PYTHONPATH: breaks the product in that process only."""

import os

if os.environ.get("ACCEPTANCE_MUTANT"):
    import kept

    kept.MUTANTS[os.environ["ACCEPTANCE_MUTANT"]]()
