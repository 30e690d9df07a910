#!/usr/bin/env bash
# Google Colab: its versions, a stand-in for google.colab, and nothing of ours but what the first cell of a lesson brings along,
# from the repository that `course publish` makes. All lessons, both editions, and what is said where that cell fails.
#   PYTHON=python3.13 TORCH=2.11.0 lanes/colab.sh
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.13}
room=$PWD/build/lanes/colab
mkdir -p "$room"
[ -x "$room/bin/python" ] || "$python" -m venv "$room"
pip=("$room/bin/python" -m pip --disable-pip-version-check --quiet)
"${pip[@]}" install "torch==${TORCH:-2.11.0}"
"${pip[@]}" install --requirement lanes/colab.txt
"${pip[@]}" uninstall --yes skip-connections mnist1d

# The address that the lessons name leads to the learners' repository on this disk.
rm -rf "$room/students" "$room/elsewhere"
.venv/bin/course publish "$room/students"
git -C "$room/students" init --quiet --initial-branch "$(.venv/bin/python -c 'from course.config import load_course; print(load_course().ref)')"
git -C "$room/students" add --all
git -C "$room/students" -c user.name=lane -c user.email=lane@example.org commit --quiet --message published
address=$(.venv/bin/python -c 'from course.config import load_course; print(load_course().address)')
printf '[url "file://%s"]\n\tinsteadOf = %s\n' "$room/students" "$address" >"$room/gitconfig"
mkdir "$room/elsewhere"

# What the first cell says where it fails, in Colab and elsewhere.
site=$("$room/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -f "$site/colab-lane.pth"
LANE_PYTHON=$room/bin/python .venv/bin/python -m pytest -q -p no:nbval tests/test_bootstrap.py

# Colab's kernels have google.colab loaded before the first cell: the first cell knows by it where it is.
mkdir -p "$site/google/colab"
echo '"""A stand-in: in Colab a package of this name is always there."""' >"$site/google/colab/__init__.py"
echo 'import google.colab' >"$site/colab-lane.pth"
GIT_CONFIG_GLOBAL=$room/gitconfig exec .venv/bin/python lanes/lessons.py colab --python "$room/bin/python" --cwd "$room/elsewhere"
