"""Files of the corpus, from the front of a split until there are enough bytes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pttrust_lightning.errors import SourceError
from pttrust_lightning.source.jsonl import read_records
from pttrust_lightning.types import Exclusions
from tools.embedded_llm.corpus_files import Split

BEYOND_LIMIT = "file beyond the bytes asked for"


class CorpusFile(NamedTuple):
    """One source file.

    Attributes:
        id: Unique within its split.
        code: Its text.
        data: The text as UTF-8.
    """

    id: str
    code: str
    data: bytes


def read_files(
    corpus: Path, split: Split, language: str, max_bytes: int | None, exclusions: Exclusions
) -> list[CorpusFile]:
    """Whole files from the front of a split, whose order is shuffled, until they hold ``max_bytes`` or more.

    Args:
        corpus: The folder of ``train/`` and ``held_out/``.
        split: Which of the two.
        language: Which file of it, ``{language}.jsonl``.
        max_bytes: Where to stop; None reads all.
        exclusions: Where files that are not read are counted.

    Raises:
        SourceError: There is no such file, or it holds no code.
        SchemaError: A record is not one of the corpus.
    """
    path = corpus / split / f"{language}.jsonl"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.jsonl"))) or "nothing"
        raise SourceError(
            f"{path} does not exist ({path.parent} holds {known}). Build the corpus, or leave the language out."
        )
    files: list[CorpusFile] = []
    read = 0
    for record in read_records(str(path)):
        id_, code = record.text("id"), record.text("code")
        if not code:
            exclusions.add("empty file", id_)
        elif max_bytes is not None and read >= max_bytes:
            exclusions.add(BEYOND_LIMIT, id_)
        else:
            files.append(CorpusFile(id_, code, code.encode()))
            read += len(files[-1].data)
    if not files:
        raise SourceError(f"{path} holds no file with code within {max_bytes} bytes. Build the corpus again.")
    return files
