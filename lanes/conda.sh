#!/usr/bin/env bash
# environment.yml, resolved for every Python and system that it is for, if the channel can be had; else read.
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python lanes/conda.py
