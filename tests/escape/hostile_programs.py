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
