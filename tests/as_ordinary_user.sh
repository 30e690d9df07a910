#!/usr/bin/env bash
# tests/as_ordinary_user.sh COMMAND...: run a command in the checkout as an ordinary user. Needs root, changes nothing that outlives it.
#
#   tests/as_ordinary_user.sh .venv/bin/python -m tests.attacks --only ours
#
# The user is a number without a name, with an empty home. Where this Python lies in root's home, which others may not enter, the command
# sees a home of root's that holds Python alone (a mount namespace of its own).
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(mktemp -d /tmp/home-XXXXXX)
trap 'rm -rf --one-file-system "$home"' EXIT
chown 4321:4321 "$home"
python=$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')
# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount bash -c '
    python=$1 home=$2; shift 2
    if [[ $python == "$HOME"/* ]]; then
        mkdir "$home/python"
        mount --bind "$python" "$home/python"
        mount -t tmpfs -o mode=755 none "$HOME"
        mkdir -p "$python"
        mount --bind "$home/python" "$python"
        umount "$home/python"
    fi
    exec setpriv --reuid 4321 --regid 4321 --clear-groups env HOME="$home" "$@"
' bash "$python" "$home" "$@"
