# `make chat` and `make tools` show the examples, `make serve` serves agents,
# `make test` runs the tests. Each sets up a virtual environment of the
# project's own first, with uv where it is there.

PYTHON ?= python3
ENVIRONMENT := .venv
IN_ENVIRONMENT := $(ENVIRONMENT)/bin/python
UV := $(shell command -v uv 2>/dev/null)

.PHONY: chat tools serve test doctor

chat: $(ENVIRONMENT)/ready
	$(IN_ENVIRONMENT) conversation_with_agent_with_finetuned_model.py $(ARGS)

tools: $(ENVIRONMENT)/ready
	$(IN_ENVIRONMENT) small_llms.py chat $(ARGS)

serve: $(ENVIRONMENT)/ready-to-serve
	$(IN_ENVIRONMENT) serve_agents.py $(ARGS)

doctor: $(ENVIRONMENT)/ready
	$(IN_ENVIRONMENT) conversation_with_agent_with_finetuned_model.py --doctor

test: $(ENVIRONMENT)/ready-for-tests
	$(IN_ENVIRONMENT) -m pytest --numprocesses 2 --dist loadfile $(ARGS)

$(ENVIRONMENT)/ready: requirements.txt
	$(call make_environment)
	$(call install,requirements.txt)
	touch $@

$(ENVIRONMENT)/ready-to-serve: requirements-service.txt $(ENVIRONMENT)/ready
	$(call install,requirements-service.txt)
	touch $@

$(ENVIRONMENT)/ready-for-tests: requirements-dev.txt $(ENVIRONMENT)/ready-to-serve
	$(call install,requirements-dev.txt)
	touch $@

ifdef UV
# uv picks the build of torch that suits the machine's driver.
make_environment = $(UV) venv --quiet --allow-existing --python '>=3.11' $(ENVIRONMENT)
install = $(UV) pip install --quiet --torch-backend=auto --python $(IN_ENVIRONMENT) -r $(1)
else
make_environment = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; call: make PYTHON=python3.11 ...")' && $(PYTHON) -m venv $(ENVIRONMENT)
install = $(IN_ENVIRONMENT) -m pip install --quiet -r $(1)
endif
