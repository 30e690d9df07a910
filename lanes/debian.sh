#!/usr/bin/env bash
# Python 3.13 and the CPU torch of Debian 13, without a wheel of either: the oldest torch that the lessons promise to run with.
#   lanes/debian.sh [TREE]       as root; TREE (build/lanes/debian) is a system of 3 GB, which is kept for the next time
# Where the system cannot be had this lane could not run, which is said, written down and told by exit code 77.
set -euo pipefail
checkout=$(realpath "$(dirname "$0")/..")
tree=$(realpath -m "${1:-$checkout/build/lanes/debian}")
could_not_run() {
    echo "$1"
    mkdir -p "$checkout/build/lanes"
    printf '{"lane": "debian", "date": "%s", "not_run": "%s"}\n' "$(date +%F)" "$1" >"$checkout/build/lanes/debian.json"
    exit 77
}
[ "$(id -u)" = 0 ] || could_not_run "only root can lay out a system and move into it: run lanes/debian.sh with sudo"
command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap; } ||
    could_not_run "debootstrap is not installed here, and apt-get cannot get it"
packages=ca-certificates,python3,python3-venv,python3-pip,python3-torch,python3-numpy,python3-scipy,python3-matplotlib,python3-sklearn
if [ ! -e "$tree/made" ]; then
    mkdir -p "$(dirname "$tree")"
    rm -rf "$tree.part"
    debootstrap --variant=minbase --include="$packages,git,make,bubblewrap,libseccomp2" trixie "$tree.part" >"$tree.log" 2>&1 ||
        could_not_run "Debian 13 cannot be had here: $(tail -1 "$tree.log" | tr -cd '[:print:]' | tr -d '\\"')"
    mv -T "$tree.part" "$tree"
    touch "$tree/made"
fi
cp --remove-destination /etc/resolv.conf /etc/hosts "$tree/etc/"
cat /etc/ssl/certs/ca-certificates.crt >"$tree/etc/certificates.crt"
rm -rf "$tree/course"
git clone --quiet "$checkout" "$tree/course"

# pivot_root, not chroot: the kernel refuses user namespaces, and so bubblewrap, to a process with a changed root. The mounts vanish with
# their namespace.
inside() {
    unshare --mount --pid --fork --propagation private bash -c '
        mount --bind "$0" "$0"; mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; mount --rbind /sys "$0/sys"
        mkdir -p "$0/outside"; cd "$0"; pivot_root . outside; umount -l /outside; cd /course
        exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 OMP_NUM_THREADS=1 PIP_CERT=/etc/certificates.crt bash -euc "$1"
    ' "$tree" "$1"
}

# What Debian brings is kept at Debian's version; the rest is as constraints.txt pins it.
inside '
    [ -x /venv/bin/python ] || python3 -m venv --system-site-packages /venv
    here=$(/usr/bin/python3 -m pip list --format=freeze | sed "s/==.*//" | tr "[:upper:]_" "[:lower:]-" | sort -u)
    while IFS= read -r pin; do
        name=$(sed "s/==.*//" <<<"$pin" | tr "[:upper:]_" "[:lower:]-")
        grep -qxF -- "$name" <<<"$here" || printf "%s\n" "$pin"
    done <constraints.txt >/constraints.txt
    /venv/bin/pip install --quiet --constraint /constraints.txt --editable ".[lab]" --editable course
    if /venv/bin/pip list 2>/dev/null | grep -i nvidia; then echo "a CUDA wheel came along"; exit 1; fi
    /venv/bin/course build --check
    /venv/bin/python lanes/grading.py debian --sandbox bubblewrap --only 1 5
    /venv/bin/python lanes/lessons.py debian
' && status=0 || status=$?
mkdir -p "$checkout/build/lanes"
cp "$tree"/course/build/lanes/debian*.json "$checkout/build/lanes/" 2>/dev/null || true
exit "$status"
