"""Programs that attack the cell they run in. Each ends by ``escaped(…)`` when its attack works.

A case is a name, the program, and the codes that may come of it. ``SECRET``, ``HOME``, ``PORT``, ``SOCKET`` and ``CALLS``
(numbers of system calls by name) are put in by the test.
"""

from dataclasses import dataclass

PRELUDE = '''
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def escaped(*what):
    os.write(1, ("ESCAPED " + repr(what)[:200]).encode())
    os._exit(0)
def call(name, *arguments):
    """Make a system call; fail like Python does when the kernel refuses."""
    libc.syscall.restype = ctypes.c_long
    found = libc.syscall(ctypes.c_long(CALLS[name]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if found < 0:
        raise OSError(ctypes.get_errno(), name)
    return found
'''

FAILED = ("program-failed",)
FATAL = ("forbidden-call",)
STOPPED = ("runtime-exceeded",)
MEMORY = ("memory-exceeded",)


@dataclass(frozen=True)
class Hostile:
    """One attack: what it is called, the program, how it may end, and what it declares to write."""

    name: str
    code: str
    codes: tuple[str, ...] = FAILED
    outputs: tuple[str, ...] = ("out.txt",)


FILES = [
    Hostile("a file of the host by its path", "escaped(open(SECRET).read())"),
    Hostile("the account list", "escaped(open('/etc/passwd').read())"),
    Hostile("the password file", "escaped(open('/etc/shadow').read())"),
    Hostile("the data of other projects", "escaped(os.listdir(HOME))"),
    Hostile("up and out of the working folder", "escaped(open('../' * 30 + SECRET.lstrip('/')).read())"),
    Hostile(
        "up by a folder's descriptor",
        "f = os.open('.', os.O_RDONLY)\nescaped(os.open('../../../../etc/passwd', os.O_RDONLY, dir_fd=f))",
    ),
    Hostile(
        "anything readable that holds the secret",
        """
for folder, below, names in os.walk('/'):
    if folder == '/image': below.clear()
    for name in names:
        try:
            with open(os.path.join(folder, name), 'rb') as file:
                if folder.startswith(('/image', '/dev')): continue
                if b'SECRET-OF-THE-HOST' in file.read() and name != 'program.py': escaped(folder, name)
        except OSError: pass
raise SystemExit(1)""",
    ),
    Hostile(
        "folders that are not its own",
        """
known = {'dev', 'image', 'job', 'lib64', 'lib', 'tmp'}
found = set(os.listdir('/')) - known
escaped(found) if found else sys.exit(1)""",
    ),
    Hostile("environment of its process", "escaped(open('/proc/self/environ').read())"),
    Hostile(
        "secrets in the environment",
        "found = [k for k in os.environ if 'GONGSHU' in k or 'SECRET' in k or 'KEY' in k]\nescaped(found) if found else sys.exit(1)",
    ),
    Hostile("the root of the first process", "escaped(os.listdir('/proc/1/root'))"),
    Hostile("its memory as a file", "escaped(open('/proc/self/mem', 'rb+'))"),
    Hostile("kernel settings", "escaped(open('/proc/sys/kernel/core_pattern', 'w'))"),
    Hostile("the system's devices by sysfs", "escaped(os.listdir('/sys'))"),
    Hostile("control groups", "escaped(os.listdir('/sys/fs/cgroup'))"),
    Hostile("memory as a device", "escaped(open('/dev/mem', 'rb'))"),
    Hostile("the kernel's messages", "escaped(open('/dev/kmsg', 'rb'))"),
    Hostile("a terminal", "escaped(os.open('/dev/tty', os.O_RDWR))"),
    Hostile("a new terminal", "escaped(os.open('/dev/ptmx', os.O_RDWR))"),
    Hostile("a disk", "escaped([open(f'/dev/{d}', 'rb') for d in ('sda', 'vda', 'nvme0n1', 'loop0')])"),
    Hostile("fuse and kvm", "escaped([os.open(p, os.O_RDWR) for p in ('/dev/fuse', '/dev/kvm')])"),
    Hostile("writing into the input", "open('/job/in/0.parquet', 'r+b').write(b'x')\nescaped()"),
    Hostile("writing into the program", "open('/job/program.py', 'a').write('x')\nescaped()"),
    Hostile("writing into the manifest", "open('/job/manifest.json', 'w').write('{}')\nescaped()"),
    Hostile("writing into the packages", "open('/image/packages/numpy/__init__.py', 'a').write('x')\nescaped()"),
    Hostile("writing into the interpreter", "open('/image/python/bin/python3', 'r+b').write(b'x')\nescaped()"),
    Hostile("a file beside the outputs", "open('/job/out/other.txt', 'w').write('x')\nescaped()"),
    Hostile("a file in the root", "open('/new', 'w').write('x')\nescaped()"),
    Hostile("a folder in the job", "os.mkdir('/job/out/more')\nescaped()"),
    Hostile("a name with a line break", "open('/job/out/a\\nb.txt', 'w')\nescaped()"),
    Hostile("a name that climbs", "open('/job/out/../../evil.txt', 'w')\nescaped()"),
    Hostile("a name in look-alike letters", "open('/job/out/оut.txt', 'w')\nescaped()"),
    Hostile("a name with a zero byte", "open('/job/out/out.txt\\0.parquet', 'w')\nescaped()"),
    Hostile(
        "inherited descriptors",
        """
found = []
for number in range(3, 4096):
    try: found.append((number, os.fstat(number).st_mode))
    except OSError: pass
escaped(found) if found else sys.exit(1)""",
    ),
    Hostile("standard input as a way out", "os.lseek(0, 0, 2)\nos.write(0, b'x')\nescaped()"),
    Hostile("standard input as memory that no limit counts", "os.ftruncate(0, 1 << 22)\nescaped()"),
    Hostile(
        "a lock that another cell could feel",
        "import fcntl\nfcntl.flock(open('/image/python/bin/python3', 'rb'), fcntl.LOCK_EX)\nescaped()",
    ),
    Hostile("a record lock", "import fcntl\nfcntl.lockf(open('/job/in/0.parquet', 'rb'), fcntl.LOCK_SH)\nescaped()"),
    Hostile(
        "a lease that holds up the host",
        "import fcntl\nfcntl.fcntl(os.open('/job/in/0.parquet', os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)\nescaped()",
    ),
    Hostile("which pages of a file others read", "escaped() if libc.mincore(0, 0, 0) == 0 else sys.exit(1)"),
]

OUTBOX = [
    Hostile(
        "a symbolic link in place of the output",
        "os.unlink('/job/out/out.txt')\nos.symlink(SECRET, '/job/out/out.txt')\nescaped()",
    ),
    Hostile("a symbolic link anywhere", "os.symlink(SECRET, '/tmp/link')\nescaped()"),
    Hostile("a hard link of an input", "os.link('/job/in/0.parquet', '/tmp/link')\nescaped()"),
    Hostile("a device", "os.mknod('/tmp/device', 0o020666, os.makedev(1, 1))\nescaped()"),
    Hostile("a named pipe", "os.mkfifo('/tmp/pipe')\nescaped()"),
    Hostile("a program with rights on the host", "os.chmod('/job/out/out.txt', 0o4777)\nescaped()"),
    Hostile("an owner on the host", "os.chown('/job/out/out.txt', 0, 0)\nescaped()"),
    Hostile("attributes of the file", "os.setxattr('/job/out/out.txt', 'user.note', b'hidden')\nescaped()"),
    Hostile("moving the output away", "os.rename('/job/out/out.txt', '/tmp/out.txt')\nescaped()"),
    Hostile(
        "moving something over the output",
        "open('/tmp/x', 'w').write('x')\nos.rename('/tmp/x', '/job/out/out.txt')\nescaped()",
    ),
    Hostile(
        "a huge file",
        "with open('/job/out/out.txt', 'wb') as f:\n    while True: f.write(b'x' * (1 << 20))",
        ("output-exceeded",),
    ),
    Hostile("a huge file with holes", "os.truncate('/job/out/out.txt', 1 << 40)\nescaped()"),
    Hostile("space set aside", "os.posix_fallocate(os.open('/job/out/out.txt', os.O_RDWR), 0, 1 << 40)\nescaped()"),
    Hostile(
        "a file of holes within the limit", "os.truncate('/job/out/out.txt', 1 << 20)", ("output-hidden-characters",)
    ),
    Hostile("nothing at all", "pass", ("output-missing",)),
    Hostile(
        "filling the scratch folder", "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20)) and f.flush()"
    ),
    Hostile(
        "a hundred thousand files",
        "for n in range(100_000): open(f'/tmp/{n}', 'w').write('x' * 4096)",
        (*FAILED, *STOPPED),
    ),
    Hostile("a hundred thousand open files", "kept = [open('/dev/null') for _ in range(100_000)]\nescaped()"),
    Hostile(
        "swapping the content to the last moment",
        """
import threading
def swap():
    while True:
        for text in (b'clean', b'\\x80\\x04.'):
            handle = os.open('/job/out/out.txt', os.O_WRONLY | os.O_TRUNC)
            os.write(handle, text); os.close(handle)
threading.Thread(target=swap, daemon=True).start()
import time; time.sleep(0.2)""",
        ("", "output-missing", "output-pickle", "output-unreadable"),
    ),
    Hostile(
        "a mapping that is written after the end",
        """
import mmap
os.truncate('/job/out/out.txt', 5)
handle = os.open('/job/out/out.txt', os.O_RDWR)
view = mmap.mmap(handle, 5)
view[:] = b'clean'
import atexit
atexit.register(lambda: view.__setitem__(slice(0, 5), b'\\x80\\x04.xx'))""",
        ("",),
    ),
]

PICKLES = [
    Hostile(
        "a pickle as text",
        "import pickle\npickle.dump({'rows': [1, 2]}, open('/job/out/out.txt', 'wb'))",
        ("output-pickle",),
    ),
    Hostile(
        "a pickle in letters",
        "import pickle\npickle.dump({'rows': [1, 2]}, open('/job/out/out.txt', 'wb'), protocol=0)",
        ("output-pickle",),
    ),
    Hostile(
        "a pickle as table",
        "import pickle\npickle.dump([1], open('/job/out/out.parquet', 'wb'))",
        ("output-pickle",),
        ("out.parquet",),
    ),
    Hostile(
        "a pickle as model",
        "import pickle\npickle.dump([1], open('/job/out/out.onnx', 'wb'))",
        ("output-pickle",),
        ("out.onnx",),
    ),
    Hostile(
        "a joblib file as model",
        "import joblib, numpy\njoblib.dump({'a': numpy.zeros(9)}, '/job/out/out.onnx')",
        ("output-pickle",),
        ("out.onnx",),
    ),
    Hostile(
        "a packed joblib file as model",
        "import joblib\njoblib.dump({'a': [1] * 99}, '/job/out/out.onnx', compress=3)",
        ("output-not-onnx",),
        ("out.onnx",),
    ),
    Hostile(
        "an archive of arrays as table",
        "import numpy\nnumpy.savez(open('/job/out/out.parquet', 'wb'), a=numpy.zeros(9))",
        ("output-pickle",),
        ("out.parquet",),
    ),
    Hostile(
        "bytes in a table",
        "import pyarrow as pa\nfrom gongshu import job\njob.write_table('out.parquet', pa.table({'a': [b'\\x80\\x04.']}))",
        ("output-type-refused",),
        ("out.parquet",),
    ),
    Hostile(
        "lists in a table",
        "import pyarrow as pa\nfrom gongshu import job\njob.write_table('out.parquet', pa.table({'a': [[1, 2]]}))",
        ("output-type-refused",),
        ("out.parquet",),
    ),
    Hostile(
        "invisible letters in a table",
        "import pyarrow as pa\nfrom gongshu import job\njob.write_table('out.parquet', pa.table({'a': ['x\\u200b\\u200d']}))",
        ("output-hidden-characters",),
        ("out.parquet",),
    ),
    Hostile(
        "invisible letters in a column's name",
        "import pyarrow as pa\nfrom gongshu import job\njob.write_table('out.parquet', pa.table({'a\\u2063': [1]}))",
        ("output-hidden-characters",),
        ("out.parquet",),
    ),
    Hostile(
        "a table of millions of equal rows",
        "import pyarrow as pa, pyarrow.parquet as pq\npq.write_table(pa.table({'a': pa.repeat(pa.scalar(1, pa.int8()), 5_000_000)}), '/job/out/out.parquet', compression='zstd')",
        ("rows-exceeded",),
        ("out.parquet",),
    ),
    Hostile(
        "a cell that unpacks to hundreds of megabytes",
        "import pyarrow as pa, pyarrow.parquet as pq\npq.write_table(pa.table({'a': ['x' * 300_000_000]}), '/job/out/out.parquet', compression='zstd', use_dictionary=False, write_statistics=False)",
        ("output-type-refused", "memory-exceeded", "output-unreadable"),
        ("out.parquet",),
    ),
    Hostile(
        "rubbish as table",
        "open('/job/out/out.parquet', 'wb').write(b'PAR1' + os.urandom(5000) + b'PAR1')",
        ("output-unreadable",),
        ("out.parquet",),
    ),
    Hostile(
        "rows of other lengths",
        "open('/job/out/out.csv', 'w').write('a,b\\n1,2\\n3\\n')",
        ("output-unreadable",),
        ("out.csv",),
    ),
    Hostile(
        "a model of its own operators",
        """
import onnx
from onnx import helper as h, TensorProto as T
x, y = (h.make_tensor_value_info(n, T.FLOAT, [1]) for n in 'xy')
graph = h.make_graph([h.make_node('Shell', ['x'], ['y'], domain='evil')], 'g', [x], [y])
model = h.make_model(graph, opset_imports=[h.make_opsetid('evil', 1), h.make_opsetid('', 20)])
open('/job/out/out.onnx', 'wb').write(model.SerializeToString())""",
        ("output-operator-refused", "output-not-onnx"),
        ("out.onnx",),
    ),
    Hostile(
        "a model with its numbers in another file",
        """
import onnx
from onnx import helper as h, TensorProto as T
x, y = (h.make_tensor_value_info(n, T.FLOAT, [1]) for n in 'xy')
t = T(name='w', data_type=T.FLOAT, dims=[1], data_location=T.EXTERNAL)
t.external_data.add(key='location', value='../../../etc/passwd')
graph = h.make_graph([h.make_node('Add', ['x', 'w'], ['y'])], 'g', [x], [y], [t])
open('/job/out/out.onnx', 'wb').write(h.make_model(graph, opset_imports=[h.make_opsetid('', 20)]).SerializeToString())""",
        ("output-operator-refused", "output-not-onnx"),
        ("out.onnx",),
    ),
    Hostile(
        "a model that keeps its training rows",
        """
from gongshu import job
from sklearn.svm import SVC
import numpy
x = numpy.random.rand(60, 2).astype('float32')
job.write_model('out.onnx', SVC().fit(x, x[:, 0] > 0.5))""",
        ("output-operator-refused",),
        ("out.onnx",),
    ),
]

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

HOSTILE = [*FILES, *OUTBOX, *PICKLES, *NETWORK, *PROCESSES, *EXHAUSTION, *KERNEL, *ODD]
"""Every attack, by construct."""
