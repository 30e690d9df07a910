#!/usr/bin/env bash
# All lanes, or those that are named, one after the other; then the table of versions. A lane that fails stops no other.
#   lanes/all.sh [LANE...]
set -uo pipefail
cd "$(dirname "$0")/.."
lanes=("$@")
[ ${#lanes[@]} -gt 0 ] || lanes=(lowest colab no_bubblewrap conda debian)
failed=()
for lane in "${lanes[@]}"; do
    echo "== lane $lane"
    rm -f "build/lanes/$lane.json" "build/lanes/$lane-grading.json"
    "lanes/$lane.sh" || failed+=("$lane")
done
.venv/bin/python lanes/table.py || failed+=(table)
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
