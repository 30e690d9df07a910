#!/usr/bin/env bash
# The lower bounds that both pyproject.toml state, really installed: all lessons, both editions.
#   PYTHON=python3.11 lanes/lowest.sh
# Two environments: what learners have, in which the lessons run, and that of instructors, which runs them (nbgrader asks for a newer
# IPython than learners need). torch is a CPU build that pip has here; its lower bound itself is what lane `debian` runs with.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
# uv has a resolver that goes for the lowest; pip's own settings (where wheels lie, which certificates hold) are handed on to it.
[ -n "${UV_FIND_LINKS-${PIP_FIND_LINKS-}}" ] && export UV_FIND_LINKS=${UV_FIND_LINKS-$PIP_FIND_LINKS}
[ -n "${SSL_CERT_FILE-${PIP_CERT-}}" ] && export SSL_CERT_FILE=${SSL_CERT_FILE-$PIP_CERT}

uv=build/lanes/uv
[ -x $uv/bin/uv ] || { "$python" -m venv $uv && $uv/bin/python -m pip install --quiet --disable-pip-version-check uv; }

# make_room NAME REQUIREMENTS: an environment of the lowest versions that they allow, and of nothing else
make_room() {
    local room=build/lanes/$1
    [ -x "$room/bin/python" ] || "$python" -m venv "$room"
    echo "torch==${TORCH:-$(sed -n 's/^torch==//p' constraints.txt)}" >"$room/torch.txt"
    printf '%s\n' "${@:2}" >"$room/wanted.txt"
    $uv/bin/uv pip compile --quiet --no-header --no-annotate --python "$room/bin/python" --resolution lowest-direct \
        --constraint "$room/torch.txt" --output-file "$room/lowest.txt" "$room/wanted.txt" >/dev/null
    $uv/bin/uv pip sync --quiet --python "$room/bin/python" "$room/lowest.txt"
}

make_room lowest-learner '--editable .[lab]'
build/lanes/lowest-learner/bin/python lanes/bounds.py pyproject.toml
make_room lowest '--editable .[lab]' '--editable ./course'
build/lanes/lowest/bin/python lanes/bounds.py course/pyproject.toml
build/lanes/lowest/bin/course build --check
exec build/lanes/lowest/bin/python lanes/lessons.py lowest --python build/lanes/lowest-learner/bin/python
