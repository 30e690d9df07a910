#!/usr/bin/env bash
# All lanes, or those that are named, one after the other; then the table of versions. A lane that fails stops no other. One that
# cannot run here (exit code 77: it says why) is named as such, and has not passed; in CI it counts as a failure.
#   lanes/all.sh [LANE...]
set -uo pipefail
cd "$(dirname "$0")/.."
lanes=("$@")
[ ${#lanes[@]} -gt 0 ] || lanes=(lowest colab no_bubblewrap conda debian)
failed=() missing=()
for lane in "${lanes[@]}"; do
    echo "== lane $lane"
    rm -f "build/lanes/$lane.json" "build/lanes/$lane-grading.json"
    "lanes/$lane.sh"
    case $? in
        0) ;;
        77) missing+=("$lane") ;;
        *) failed+=("$lane") ;;
    esac
done
.venv/bin/python lanes/table.py || failed+=(table)
[ ${#missing[@]} -eq 0 ] || echo "could not run here: ${missing[*]}"
[ -z "${CI:-}" ] || failed+=("${missing[@]}")
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
