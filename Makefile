# `make help` lists the verbs. Each of them sets itself up first, inside this folder.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs bench acceptance odoo-up odoo-down
ODOO ?= sandbox
PYTHON := .venv/bin/python

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## the locked environment in .venv

.venv/.ready: uv.lock pyproject.toml tools/uv
	@bash tools/uv sync --frozen --quiet
	@touch $@

demo: .venv/.ready ## both systems seeded, first load done, ready to edit (ODOO=real for a real Odoo 19)
	@.venv/bin/isthmus demo --odoo $(ODOO)

test: .venv/.ready ## everything that proves a change, at most 25 minutes on two cores
	@$(PYTHON) tools/suite.py

lint: .venv/.ready ## style, format and strict types
	@$(PYTHON) tools/suite.py lint

docs: .venv/.ready ## writes docs/reference anew from the code
	@$(PYTHON) tools/docs.py

bench: .venv/.ready ## throughput, latency and footprint, in full
	@$(PYTHON) tools/suite.py bench

acceptance: .venv/.ready ## agreement under edits, faults and kills, in full
	@$(PYTHON) tools/suite.py acceptance-full

odoo-up: .venv/.ready ## a real Odoo 19 on this machine
	@$(PYTHON) tools/odoo/rig.py up

odoo-down: .venv/.ready ## end it; its data stays
	@$(PYTHON) tools/odoo/rig.py down
