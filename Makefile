# Two commands set everything up on a machine with git, make, gcc and python3 (headers, pip):
#   make demo     make test
export UV_SYSTEM_CERTS = true
export UV_PYTHON_DOWNLOADS = never
export UV_COMPILE_BYTECODE = true
unexport PYTHONDONTWRITEBYTECODE
UV = .uv/bin/uv
RUN = $(UV) run --frozen --quiet

.PHONY: demo test check fmt bench simulate crash clean

demo: $(UV)
	$(RUN) cloacina-ctl demo --samples sample_plugins

test: $(UV)
	$(RUN) pytest -n 2

check: $(UV)
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) pyright
	$(RUN) lint-imports

fmt: $(UV)
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

# any number of seeds: make simulate SEEDS=100000 FIRST=2000, or DATABASE=postgres (or sqlite)
SEEDS ?= 10000
FIRST ?= 0
DATABASE ?= memory
simulate: $(UV)
	PYTHONPATH=tests $(RUN) python -m simulation --seeds $(SEEDS) --first $(FIRST) --jobs 2 \
		--database $(DATABASE)

# processes killed at random instants, N rounds of each kind: make crash N=300 FIRST=15
N ?= 100
crash: $(UV)
	PYTHONPATH=tests $(RUN) python -m crash $(N) --first $(FIRST)

bench: $(UV)
	$(RUN) python benchmarks/compare.py

clean:
	rm -rf .uv .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(UV):
	@packaging/preflight.sh
	python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .uv 'uv>=0.9,<1'
