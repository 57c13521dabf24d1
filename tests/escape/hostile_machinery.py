"""Programs that attack what lies under the cell: network, other processes, limits, the kernel's machinery."""

from tests.escape.hostile_programs import FAILED, FATAL, MEMORY, STOPPED, Hostile

NETWORK = [
    Hostile("IPv4", "import socket\nsocket.create_connection(('127.0.0.1', PORT), 2)\nescaped()"),
    Hostile("IPv6", "import socket\nsocket.create_connection(('::1', PORT), 2)\nescaped()"),
    Hostile(
        "a datagram",
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', ('127.0.0.1', PORT))\nescaped()",
    ),
    Hostile("a name", "import socket\nescaped(socket.getaddrinfo('example.invalid', 80))"),
    Hostile(
        "an abstract socket of the host",
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + SOCKET)\nescaped()",
    ),
    Hostile(
        "a socket file",
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/run/dbus/system_bus_socket')\nescaped()",
    ),
    Hostile("netlink", "import socket\nescaped(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))"),
    Hostile("raw packets", "import socket\nescaped(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))"),
    Hostile(
        "the virtual machine's host", "import socket\ns = socket.socket(socket.AF_VSOCK)\ns.connect((2, 1))\nescaped()"
    ),
    Hostile("the kernel's ciphers", "import socket\nescaped(socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))"),
    Hostile("a pair of sockets", "import socket\nescaped(socket.socketpair())"),
    Hostile("a server of its own", "import socket\ns = socket.socket()\ns.bind(('0.0.0.0', 0)); s.listen()\nescaped()"),
    Hostile("a socket by its number", "escaped(call('socket', 2, 1, 0))"),
]

PROCESSES = [
    Hostile("a child", "escaped(os.fork())"),
    Hostile("a fork bomb", "while True: os.fork()"),
    Hostile("a shell", "import subprocess\nescaped(subprocess.run(['/bin/sh', '-c', 'id']))"),
    Hostile("itself again", "os.execv('/image/python/bin/python3', ['python3', '-c', 'print(\"ESC\" + \"APED\")'])"),
    Hostile(
        "itself again with another loader",
        "os.environ['LD_PRELOAD'] = '/tmp/evil.so'\nos.execve('/image/python/bin/python3', ['python3', '-c', 'print(\"ESC\" + \"APED\")'], os.environ)",
    ),
    Hostile("a spawned process", "escaped(os.posix_spawn('/image/python/bin/python3', ['python3', '-c', '1'], {}))"),
    Hostile("a pool of workers", "import multiprocessing\nescaped(multiprocessing.get_context('fork').Pool(2))"),
    Hostile("vfork", "escaped(call('vfork'))"),
    Hostile(
        "an orphan that outlives",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        import time; time.sleep(60)\nescaped()",
    ),
    Hostile("a session of its own", "os.setsid()\nescaped()"),
    Hostile("a clone in a new user namespace", "call('clone', 0x10000000 | 17, 0, 0, 0, 0)\nescaped()", FATAL),
    Hostile("clone3", "escaped() if libc.syscall(435, 0, 0) >= 0 else sys.exit(1)"),
    Hostile("killing the first process", "os.kill(1, 9)\nescaped()"),
    Hostile("killing everything", "os.kill(-1, 9)\nescaped()"),
    Hostile("killing the parent", "os.kill(os.getppid(), 9)\nescaped()"),
    Hostile("tracing the first process", "call('ptrace', 16, 1, 0, 0)\nescaped()", FATAL),
    Hostile("reading another process", "call('process_vm_readv', 1, 0, 0, 0, 0, 0)\nescaped()", FATAL),
    Hostile("writing another process", "call('process_vm_writev', 1, 0, 0, 0, 0, 0)\nescaped()", FATAL),
    Hostile("descriptors of another process", "call('pidfd_getfd', 0, 0, 0)\nescaped()", FATAL),
    Hostile(
        "limits of the first process", "import resource\nresource.prlimit(1, resource.RLIMIT_CPU, (1, 1))\nescaped()"
    ),
    Hostile("its own limits lifted", "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))\nescaped()"),
    Hostile(
        "its own limits lifted by number",
        "import resource\nresource.prlimit(0, resource.RLIMIT_FSIZE, (-1, -1))\nescaped()",
    ),
]

EXHAUSTION = [
    Hostile("sleeping", "import time\ntime.sleep(3600)", STOPPED),
    Hostile("sleeping in the system", "libc.sleep(3600)", STOPPED),
    Hostile("an endless loop", "while True: pass", STOPPED),
    Hostile("an endless loop that holds the interpreter", "import re\nre.match(r'(a+)+$', 'a' * 64 + 'b')", STOPPED),
    Hostile(
        "ignoring every signal",
        "import signal, time\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: time.sleep(1)",
        STOPPED,
    ),
    Hostile("closing its output and sleeping", "import time\nos.close(1); os.close(2)\ntime.sleep(3600)", STOPPED),
    Hostile(
        "an exception whose text never ends",
        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
        STOPPED,
    ),
    Hostile(
        "threads without end",
        "import threading, time\nthreading.stack_size(65536)\nwhile True: threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()",
        (*FAILED, "threads-exceeded", "program-killed"),
    ),
    Hostile("memory", "kept = []\nwhile True: kept.append(bytearray(16 << 20))", MEMORY),
    Hostile("memory at once", "bytearray(1 << 40)", MEMORY),
    Hostile(
        "memory by mapping",
        "import mmap\nkept = []\nwhile True:\n    m = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n    m.write(b'x' * (16 << 20)); kept.append(m)",
        (*FAILED, *MEMORY),
    ),
    Hostile("shared memory that no limit counts", "import mmap\nescaped(mmap.mmap(-1, 1 << 30))"),
    Hostile("memory as a file", "escaped(os.memfd_create('x'))"),
    Hostile("shared memory of System V", "escaped(call('shmget', 0, 1 << 30, 0o1666))"),
    Hostile("message queues", "escaped(call('msgget', 0, 0o1666))"),
    Hostile(
        "a zip bomb",
        "import zlib\nbomb = zlib.compress(b'0' * (1 << 24))\nzlib.decompress(zlib.compress(bomb * 1))\nd = zlib.decompressobj()\nkept = []\nwhile True: kept.append(zlib.decompress(bomb))",
        MEMORY,
    ),
    Hostile("numbers without end", "x = 2\nwhile True: x = x ** 7", (*STOPPED, *MEMORY)),
    Hostile(
        "calls without end",
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): return f()\nf()",
        (*FAILED, "program-killed", *MEMORY, *STOPPED),
    ),
    Hostile("a wild pointer", "ctypes.string_at(1)", ("program-killed",)),
    Hostile("giving up", "os.abort()", ("program-killed",)),
    Hostile("text without end", "while True: print('x' * 1000)", ("printed-exceeded",)),
    Hostile("errors without end", "while True: sys.stderr.write('x' * 1000)", ("printed-exceeded",)),
    Hostile("bytes without end", "while True: os.write(1, b'\\xff\\0' * 5000)", ("printed-exceeded",)),
    Hostile(
        "an end that never comes",
        "import atexit\natexit.register(lambda: [None for _ in iter(int, 1)])\nopen('/job/out/out.txt', 'w').write('x')",
        ("",),
    ),
    Hostile(
        "a thread that never ends",
        "import threading\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()\nopen('/job/out/out.txt', 'w').write('x')",
        ("",),
    ),
    Hostile(
        "output objects that lie",
        "class Lie:\n    def write(self, t): return 0\n    def flush(self): raise SystemExit(0)\nsys.stdout = sys.stderr = Lie()\nraise ValueError('x')",
        (*FAILED, *MEMORY),
    ),
    Hostile("a random end", "sys.exit(137)"),
]

KERNEL = [
    Hostile(f"the call {name}", f"call({name!r}, *({arguments}))\nescaped()", FATAL)
    for name, arguments in {
        "mount": "0, 0, 0, 0, 0", "umount2": "0, 0", "pivot_root": "0, 0", "chroot": "0,", "unshare": "0x10000000,",
        "setns": "0, 0", "open_tree": "0, 0, 0", "move_mount": "0, 0, 0, 0, 0", "fsopen": "0, 0",
        "keyctl": "0, 0, 0, 0, 0", "add_key": "0, 0, 0, 0, 0", "request_key": "0, 0, 0, 0", "bpf": "0, 0, 0",
        "perf_event_open": "0, 0, -1, -1, 0", "userfaultfd": "0,", "io_uring_setup": "8, 0",
        "io_uring_enter": "0, 0, 0, 0, 0, 0", "setuid": "0,", "setresuid": "0, 0, 0", "setgroups": "0, 0",
        "capset": "0, 0", "init_module": "0, 0, 0", "finit_module": "0, 0, 0", "kexec_load": "0, 0, 0, 0",
        "reboot": "0, 0, 0, 0", "open_by_handle_at": "0, 0, 0", "name_to_handle_at": "0, 0, 0, 0, 0",
        "fanotify_init": "0, 0", "personality": "0x0040000,", "syslog": "2, 0, 0", "settimeofday": "0, 0",
        "clock_settime": "0, 0", "sethostname": "0, 0", "swapon": "0, 0", "acct": "0,", "kcmp": "0, 0, 0, 0, 0",
        "memfd_secret": "0,", "pidfd_send_signal": "0, 0, 0, 0", "vhangup": "", "quotactl": "0, 0, 0, 0",
    }.items()
]  # fmt: skip

ODD = [
    Hostile("typing into a terminal", "import fcntl, termios\nfcntl.ioctl(0, 0x5412, b'x')\nescaped()"),
    Hostile("selecting on a console", "import fcntl\nfcntl.ioctl(0, 0x541C, bytes([3]))\nescaped()"),
    Hostile(
        "taking its filter away",
        "import ctypes\nfound = libc.prctl(22, 0, 0, 0, 0)\nescaped() if found == 0 else sys.exit(1)",
    ),
    Hostile("a filter of its own", "escaped(call('seccomp', 1, 0, 0))"),
    Hostile(
        "turning off no-new-privileges", "found = libc.prctl(38, 0, 0, 0, 0)\nescaped() if found == 0 else sys.exit(1)"
    ),
    Hostile(
        "reading its own text as another",
        "found = libc.prctl(35, 0, 0, 0, 0)\nescaped() if found == 0 else sys.exit(1)",
    ),
    Hostile("a real-time priority", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))\nescaped()"),
    Hostile("locking memory", "escaped(call('mlockall', 1))"),
    Hostile("another root by chroot in steps", "os.mkdir('/tmp/a')\nos.chroot('/tmp/a')\nescaped()", FATAL),
    Hostile(
        "a library of its own",
        "open('/tmp/evil.so', 'wb').write(open('/image/lib/libm.so.6', 'rb').read())\nevil = ctypes.CDLL('/tmp/evil.so')\nescaped() if evil.system(b'true') == 0 else sys.exit(1)",
    ),
    Hostile("system()", "escaped() if libc.system(b'true') == 0 else sys.exit(1)"),
    Hostile("opening a library of the host", "escaped(ctypes.CDLL('/usr/lib/x86_64-linux-gnu/libutil.so.1'))"),
    Hostile(
        "a call of the 32-bit table",
        """
import mmap, platform
if platform.machine() != 'x86_64': sys.exit(1)
code = bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3])  # getpid by int 0x80
m = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
m.write(code)
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
escaped(f())""",
        (*FATAL, *FAILED),
    ),
    Hostile(
        "a call of the x32 table",
        "import platform\nif platform.machine() != 'x86_64': sys.exit(1)\nlibc.syscall(ctypes.c_long(0x40000000 + 39))\nescaped()",
        (*FATAL, *FAILED),
    ),
    Hostile(
        "other people's jobs by name",
        "found = [n for n in os.listdir('/job') if n not in {'gongshu', 'in', 'out', 'program.py', 'manifest.json'}]\nescaped(found) if found else sys.exit(1)",
    ),
    Hostile("who it runs as", "escaped() if os.getuid() == 0 or os.geteuid() == 0 else sys.exit(1)"),
    Hostile(
        "the host's name", "import platform\nescaped(platform.node()) if platform.node() != 'job' else sys.exit(1)"
    ),
    Hostile("what runs beside it", "escaped(os.getpid(), os.getppid()) if os.getpid() > 5 else sys.exit(1)"),
]
