"""Has a PDF read: its text, or where its pages are pictures what OCR finds on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from research_app.extract.extraction import Extraction
from research_app.refusal import RefusedError
from research_app.settings import Ocr

IS_OFF = "recognition is off here (ocr.enabled; app_ocr of the role)"


class Papers:
    """Asks the reader of documents for PDFs."""

    def __init__(self, extraction: Extraction, ocr: Ocr | None = None) -> None:
        self._extraction = extraction
        self._ocr = ocr or Ocr()

    async def read(self, path: Path) -> dict[str, Any]:
        """The fields of a document; RefusedError with the reason where there are none."""
        found: dict[str, Any] = await self._extraction.soon("pdf", path)
        why = found.pop("wordless", "")
        if not why:
            return found
        if not self._ocr.enabled:
            raise RefusedError(f"{why}; {IS_OFF}")
        options = {"languages": list(self._ocr.languages), "max_pages": self._ocr.max_pages}
        return {**found, **await self._extraction.soon("scan", path, **options)}
