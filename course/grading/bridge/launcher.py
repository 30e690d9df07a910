"""Become the student's kernel: take on the limits, shut the doors, then run their cells.

Runs as a script (`python -I launcher.py SPEC.json`) inside the sandbox, before anything of the
student's; or once for many students, as the `template` that their kernels are forked from. Landlock and seccomp bind this process and all that it starts, and cannot be taken back.

Landlock is three system calls and seccomp four functions of libseccomp.so.2 (part of every Debian,
Ubuntu and Fedora), called here through ctypes: the PyPI package `landlock` (1.0.0.dev5, alpha) knows no
scopes (signals, abstract sockets), and `pyseccomp` (2021) looks its library up by starting programs.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib.util
import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 24, 38, 47
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446

# Access rights of files: execute, write, read, read directory; all 16 by ABI version.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1, 2, 4, 8, 1 << 14
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}

# System calls refused with EPERM. Lessons need none of them; each is a way out, a way to reach another
# process, a way to hold memory that the watchdog does not see, or kernel code that need not be reachable.
REFUSED = {
    "other processes": "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_open pidfd_getfd "
    "pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo setsid setpgid move_pages migrate_pages",
    "network and sockets of the host": "connect sendmmsg",
    "mounts and namespaces": "mount umount umount2 pivot_root chroot setns unshare open_tree move_mount fsopen fsconfig "
    "fsmount fspick mount_setattr open_by_handle_at name_to_handle_at quotactl quotactl_fd swapon swapoff",
    "keys and kernel": "keyctl add_key request_key bpf perf_event_open userfaultfd io_uring_setup io_uring_enter "
    "io_uring_register init_module finit_module delete_module kexec_load kexec_file_load reboot syslog acct "
    "fanotify_init lookup_dcookie ioperm iopl modify_ldt personality landlock_create_ruleset",
    "clock and names": "settimeofday clock_settime clock_adjtime adjtimex stime sethostname setdomainname vhangup",
    "memory that nobody counts": "memfd_create memfd_secret shmget shmat semget msgget mq_open mlock mlock2 mlockall",
}
# Priorities, of others too: they seem to change and do not.
PRETENDED = "setpriority sched_setscheduler sched_setparam sched_setattr ioprio_set"
# Landlock does not govern these, and they would open again what the grader shut. Changes of mode, owner and time seem to
# succeed and do nothing (shutil.copy makes them in passing).
UNGOVERNED = {
    0: "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat",
    errno.ENOTSUP: "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr setxattrat removexattrat",
    errno.EPERM: "truncate",
}
CLONE_NEW = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)  # namespaces
# Requests that make the kernel signal others (F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP) or type into a terminal (TIOCSTI,
# TIOCLINUX). Linux reads 32 bits of them, so only those are compared.
REQUESTS = {"fcntl": (8, 15), "ioctl": (0x8901, 0x8902, 0x5412, 0x541C)}
AF_UNIX, SOCK_STREAM, SOCK_TYPE_MASK = 1, 1, 0xF

MADV_COLLAPSE, LARGE_PAGE = 25, 1 << 21
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NE, MASKED_EQ = 1, 7


class Argument(ctypes.Structure):
    """`struct scmp_arg_cmp`: one condition on an argument of a system call."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


class Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`."""

    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class PathBeneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr`, packed."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("fd", ctypes.c_int32))


libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def syscall(number: int, *args: Any) -> int:
    """Make a system call; raise OSError where it fails."""
    result: int = libc.syscall(ctypes.c_long(number), *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}: {os.strerror(ctypes.get_errno())}")
    return result


def prctl(*args: int) -> None:
    """Call prctl; raise OSError where it fails."""
    if libc.prctl(*map(ctypes.c_ulong, (*args, 0, 0, 0, 0)[:5])):
        raise OSError(ctypes.get_errno(), f"prctl{args}: {os.strerror(ctypes.get_errno())}")


def into_large_pages() -> None:
    """Move this process's own memory into large pages, so that forks of it are made, and end, in two thirds of the time.

    Where the kernel cannot (before Linux 6.1), or has no memory in one piece, it stays where it is.
    """
    for line in Path("/proc/self/maps").read_text().splitlines():
        reach, rights, _, _, _, *of = line.split()
        if rights == "rw-p" and of in ([], ["[heap]"]):
            start, end = (int(address, 16) for address in reach.split("-"))
            start = -(-start // LARGE_PAGE) * LARGE_PAGE
            size = (end - start) // LARGE_PAGE * LARGE_PAGE
            if size > 0:
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), MADV_COLLAPSE)


def set_limits(limits: dict[str, int]) -> None:
    """Lower the resource limits of this process and its children, for example {"NOFILE": 256}."""
    import resource

    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(number)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


def drop_capabilities() -> None:
    """Give up what root may do, for good (the files that root owns stay readable: Landlock shuts those)."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EPERM:  # not root: nothing to drop
                return
            break  # EINVAL: past the last capability of this kernel
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset failed")


def landlock_abi() -> int:
    """Give the version of Landlock that this kernel speaks, 0 if none."""
    try:
        return syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def restrict_files(read: list[str], write: list[str]) -> None:
    """Leave only these paths (and what is beneath them) readable, and those writable.

    Args:
        read: files and directories that may be read and executed; missing ones are passed over.
        write: directories and devices that may also be written.
    """
    abi = landlock_abi()
    handled = RIGHTS_BY_ABI[min(abi, 5)]
    attributes = Ruleset(handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = ctypes.sizeof(Ruleset) if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = syscall(LANDLOCK_CREATE, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    grants = [(path, EXECUTE | READ_FILE | READ_DIR) for path in read]
    grants += [(path, handled & ~(MAKE_CHAR | MAKE_BLOCK)) for path in write]
    for path, rights in grants:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= FILE_RIGHTS
        rule = PathBeneath(rights & handled, fd)
        syscall(LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0))
        os.close(fd)
    syscall(LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def refuse_system_calls(own_processes: bool) -> None:
    """Load a seccomp filter that refuses `REFUSED`, new namespaces and every socket that is not a local stream.

    Args:
        own_processes: whether only processes of its own can be signalled; else signals to others are refused, too.

    Raises:
        OSError: if libseccomp.so.2 is missing or the kernel has no seccomp.
    """
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(Argument),
    )
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    context = library.seccomp_init(ctypes.c_uint32(ALLOW))

    def refuse(name: str, *conditions: Argument, code: int = errno.EPERM) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:  # this libseccomp is older than the call, or this processor has none
            return
        array = (Argument * len(conditions))(*conditions)
        status = library.seccomp_rule_add_array(context, ERRNO | code, number, len(conditions), array)
        if status:
            raise OSError(-status, f"seccomp rule for {name}: {os.strerror(-status)}")

    for names in REFUSED.values():
        for name in names.split():
            refuse(name)
    for name in PRETENDED.split():
        refuse(name, code=0)
    for code, names in UNGOVERNED.items():
        for name in names.split():
            refuse(name, code=code)
    for call in (
        "socket",
        "socketpair",
    ):  # as on a machine without network
        refuse(call, Argument(0, NE, AF_UNIX), code=errno.EOPNOTSUPP)
        for kind in (2, 3, 4, 5, 6, 10):  # datagrams could be sent to any socket of the host
            refuse(call, Argument(1, MASKED_EQ, SOCK_TYPE_MASK, kind), code=errno.EOPNOTSUPP)
    for call, numbers in REQUESTS.items():
        for number in numbers:
            refuse(call, Argument(1, MASKED_EQ, 0xFFFFFFFF, number))
    for flag in CLONE_NEW:
        refuse("clone", Argument(0, MASKED_EQ, flag, flag))
    refuse("clone3", code=errno.ENOSYS)  # its flags are out of sight of a filter; libc falls back to clone
    for call in ("prlimit64", "sched_setaffinity"):
        refuse(call, Argument(0, NE, 0))
    if not own_processes:
        me = os.getpid()
        for call in ("kill", "tgkill"):
            refuse(call, Argument(0, NE, me))
        refuse("tkill")
    status = library.seccomp_load(context)
    if status:
        raise OSError(-status, f"seccomp: {os.strerror(-status)}")


def confine(spec: dict[str, Any]) -> None:
    """Take on everything that `spec` asks for, in the order in which it is possible."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):  # where memory runs out, the grader and the template go last
            Path("/proc/self/oom_score_adj").write_text("500")
        set_limits(spec["limits"])
    if spec["confinement"] == "unsafe":
        return
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if spec["confinement"] == "landlock":
        drop_capabilities()
        restrict_files(spec["read"], spec["write"])
        refuse_system_calls(own_processes=landlock_abi() >= 6)
    elif spec.get("namespaces"):  # the user namespace is shared with other kernels, and so are its keys
        refuse_system_calls(own_processes=True)
    else:
        with contextlib.suppress(
            OSError
        ):  # no libseccomp: bubblewrap's namespaces hold without this second wall
            refuse_system_calls(own_processes=True)


def load_bridge() -> None:
    """Import this folder as the package `bridge`, whatever is installed, so that the bridge is there."""
    if "bridge" in sys.modules:
        return
    folder = Path(__file__).parent
    spec: Any = importlib.util.spec_from_file_location(
        "bridge", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["bridge"] = package
    spec.loader.exec_module(package)
    importlib.import_module("bridge.studentside")


def start_kernel(spec: dict[str, Any]) -> None:
    """Be the student's kernel in this process, which is confined by now."""
    os.chdir(spec["work"])
    load_bridge()
    importlib.import_module("bridge.shell").serve(spec["requests"])


def main() -> None:
    """Do what the file in argv[1] says: confine this process and run the kernel in it, or be a template, or try the walls."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    if "template" in spec:
        load_bridge()
        importlib.import_module("bridge.template").serve(spec)
    confine(spec)
    if "probe" in spec:
        for name in spec["probe"]:
            importlib.import_module(name)
        print("confined")
        return
    start_kernel(spec)


if __name__ == "__main__":
    main()
