"""Runs released ONNX models: one thread each, no file, stopped at a time limit. Needs the extra ``gongshu[model]``.

A model is tried once in a process of its own, with limits of memory and time, before anything of ours loads it: its
operators make arrays of sizes that the file decides, so what one row takes there it takes for every row.
"""

import importlib.util
import json
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gongshu.compute.adapters.model_files import ModelUnreadable
from gongshu.compute.adapters.released import TooSlow
from gongshu.compute.types import ModelTensor

TRIAL_MEMORY_BYTES_MAX, TRIAL_SECONDS_MAX = 1 << 30, 10
LOG_NOTHING = 4
TENSOR = re.compile(r"tensor\((\w+)\)")
ELEMENTS = {
    "float": "float32",
    "double": "float64",
    "int64": "int64",
    "int32": "int32",
    "bool": "bool",
    "string": "object",
}


def is_installed() -> bool:
    """Whether ONNX Runtime is there."""
    return importlib.util.find_spec("onnxruntime") is not None


def _session(content: bytes) -> Any:
    """Load a model from memory: it has no folder in which it could name other files."""
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = LOG_NOTHING
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - the runtime's errors have no common base but this
        raise ModelUnreadable(type(error).__name__) from None


def tensors_of(session: Any) -> tuple[ModelTensor, ...]:
    """Return the inputs of a model; a width of 0 says that it takes no single rows."""
    found = []
    for one in session.get_inputs():
        match = TENSOR.fullmatch(one.type)
        shape = one.shape
        is_row = len(shape) == 2 and not (isinstance(shape[0], int) and shape[0] != 1)
        width = shape[1] if is_row and isinstance(shape[1], int) else 0
        found.append(ModelTensor(one.name, match[1] if match else one.type, width))
    return tuple(found)


def try_model(path: Path) -> tuple[tuple[ModelTensor, ...], tuple[str, ...]]:
    """Load a model and run it on one row of zeros in a process of its own; return its inputs and the names of its outputs."""
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", __name__, str(path)], capture_output=True, timeout=TRIAL_SECONDS_MAX, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise ModelUnreadable("too slow") from None
    except ValueError:
        raise ModelUnreadable("too large, or it ends the process that runs it") from None
    if told["fault"]:
        raise ModelUnreadable(str(told["fault"]))
    return tuple(ModelTensor(*tensor) for tensor in told["inputs"]), tuple(told["outputs"])


class Model:
    """A loaded model. Used from several threads."""

    def __init__(self, content: bytes) -> None:
        """Load it."""
        self._session = _session(content)
        self.inputs = tensors_of(self._session)

    def run(self, row: Mapping[str, list[Any]], outputs: tuple[str, ...], seconds_max: float) -> dict[str, Any]:
        """Return the outputs for one row. Raises ``TooSlow``."""
        import numpy as np  # noqa: PLC0415 - with the extra
        import onnxruntime  # noqa: PLC0415

        given = {
            tensor.name: np.array([row[tensor.name]], dtype=ELEMENTS[tensor.element]) for tensor in self.inputs
        }  # fmt: skip
        options = onnxruntime.RunOptions()
        options.log_severity_level = LOG_NOTHING
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            options.terminate = True

        timer = threading.Timer(seconds_max, stop)
        timer.daemon = True
        timer.start()
        try:
            found = self._session.run(list(outputs), given, options)
        except Exception:
            if stopped.is_set():
                raise TooSlow from None
            raise
        finally:
            timer.cancel()
        return {name: _plain(value) for name, value in zip(outputs, found, strict=True)}


def _plain(value: Any) -> Any:
    """Return an output of one row as JSON knows it: a number, a text, a list, or names with numbers."""
    listed = value.tolist() if hasattr(value, "tolist") else value
    while isinstance(listed, list) and len(listed) == 1:
        listed = listed[0]
    if isinstance(listed, dict):
        return {str(name): _plain(one) for name, one in listed.items()}
    return listed


def _trial(path: Path) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_DATA, (TRIAL_MEMORY_BYTES_MAX, TRIAL_MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (TRIAL_SECONDS_MAX, TRIAL_SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        model = Model(path.read_bytes())
        blank = {"string": "", "bool": False}
        row = {tensor.name: [blank.get(tensor.element, 0)] * tensor.width for tensor in model.inputs}
        outputs = tuple(one.name for one in model._session.get_outputs())  # noqa: SLF001 - its own module
        if all(tensor.width and tensor.element in ELEMENTS for tensor in model.inputs):
            model.run(row, outputs, TRIAL_SECONDS_MAX)
    except Exception as error:  # noqa: BLE001 - whatever a hostile file brings about
        return {"fault": type(error).__name__}
    inputs = [(tensor.name, tensor.element, tensor.width) for tensor in model.inputs]
    return {"fault": "", "inputs": inputs, "outputs": outputs}


if __name__ == "__main__":
    print(json.dumps(_trial(Path(sys.argv[1]))))  # noqa: T201 - the answer to whoever started it
