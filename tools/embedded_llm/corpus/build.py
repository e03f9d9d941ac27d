"""From archives to a corpus: read, select, strip, deduplicate, keep benchmarks out, cap, write."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.embedded_llm.corpus import rules
from tools.embedded_llm.corpus.archives import RawFile, read_source
from tools.embedded_llm.corpus.contamination import BenchmarkIndex, Gram
from tools.embedded_llm.corpus.duplicates import Shingles, exact_duplicates, exact_key, near_duplicates, shingles
from tools.embedded_llm.corpus.headers import strip_licence_header
from tools.embedded_llm.corpus.parallel import Pool, benchmark_index
from tools.embedded_llm.corpus.sources import LANGUAGES, Source

CAPPED_LANGUAGES = tuple(language for language in LANGUAGES if language != "python")
"""Languages whose training code is bounded in bytes: Python is what the LLM is for."""


@dataclass(frozen=True)
class Document:
    """A file that passed the rules.

    Attributes:
        id: ``pypi/flask-3.1.3/flask/app.py``.
        language: Its language.
        source: Label of its source: ``pypi/flask-3.1.3``.
        code: The text, LF line ends, without licence header.
        held_out: Whether it is kept out of training.
        key: What exact duplicates share.
        shingles: What near duplicates share most of.
        matches: Benchmarks of which it holds a passage, each with that passage.
    """

    id: str
    language: str
    source: str
    code: str
    held_out: bool
    key: str
    shingles: Shingles
    matches: dict[str, Gram]

    @property
    def order(self) -> str:
        """What files are sorted by: shuffled, yet the same every time."""
        return hashlib.sha256(self.id.encode("utf-8")).hexdigest()

    @property
    def n_bytes(self) -> int:
        """Size of the code in UTF-8."""
        return len(self.code.encode("utf-8"))


@dataclass
class Dropped:
    """Files left out, counted by language and reason."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, language: str | None, reason: str, n: int = 1) -> None:
        """Count ``n`` files."""
        self.counts.setdefault(language or "other", Counter())[reason] += n


@dataclass(frozen=True)
class Result:
    """A corpus in memory.

    Attributes:
        documents: What is kept, in the order of the output.
        dropped: What is not.
        n_checked: Number of files compared with the benchmarks.
        contaminated: Ids of the files dropped for a benchmark's passage, with the passage per benchmark.
    """

    documents: list[Document]
    dropped: Dropped
    n_checked: int
    contaminated: dict[str, dict[str, Gram]]


def source_of(id_: str) -> str:
    """The part of an id that names its source: ecosystem, package and version."""
    parts = id_.split("/")
    return "/".join(parts[:3] if parts[1].startswith("@") else parts[:2])


def examine(file: RawFile, index: BenchmarkIndex | None) -> Document | str:
    """Apply the rules to one file.

    Args:
        file: The file, with its bytes.
        index: The benchmarks; None to check for none.

    Returns:
        The document, or why the file is dropped.
    """
    source = source_of(file.id)
    reason = rules.path_reason(file.id.removeprefix(source + "/"))
    if reason is not None:
        return reason
    if file.data is None or file.language is None:
        return f"larger than {rules.MAX_BYTES // 1000} kB"
    text, reason = rules.decode(file.data)
    if reason is not None:
        return reason
    if rules.is_generated(text):
        return "generated"
    text = strip_licence_header(text, file.language).strip("\n") + "\n"
    reason = rules.text_reason(text, file.language)
    if reason is not None:
        return reason
    matches = {} if index is None else index.matches(text)
    return Document(file.id, file.language, source, text, file.held_out, exact_key(text), shingles(text), matches)


def _examine_here(file: RawFile) -> Document | str:
    return examine(file, benchmark_index())


def _of_language(files: Iterable[RawFile], language: str, dropped: Dropped) -> Iterator[RawFile]:
    for file in files:
        if file.language == language:
            yield file
        else:
            dropped.add(file.language, "not the source's language" if file.language else "no source code")


def read_documents(
    sources: Iterable[Source], downloads: Path, dropped: Dropped, pool: Pool, say: Callable[[str], None]
) -> list[Document]:
    """All files of all sources that pass the rules, sorted by id.

    Args:
        sources: The sources.
        downloads: Folder of their archives.
        dropped: Where the others are counted.
        pool: The processes that apply the rules.
        say: Takes lines of progress.
    """
    documents: list[Document] = []
    for source in sources:
        files = list(_of_language(read_source(source, downloads), source.language, dropped))
        n_before = len(documents)
        for result in pool.map(_examine_here, files):
            if isinstance(result, str):
                dropped.add(source.language, result)
            else:
                documents.append(result)
        say(f"{source.label}: {len(documents) - n_before} of {len(files)} files")
    return sorted(documents, key=lambda document: document.id)


def _without(documents: list[Document], gone: Iterable[int], reason: str, dropped: Dropped) -> list[Document]:
    indices = set(gone)
    for i in indices:
        dropped.add(documents[i].language, reason)
    return [document for i, document in enumerate(documents) if i not in indices]


def cap(documents: list[Document], limit: int | None, languages: Iterable[str], dropped: Dropped) -> list[Document]:
    """Drop what is beyond ``limit`` bytes of training code per language, at the end of the order.

    Args:
        documents: The files, in the order of the output.
        limit: Most bytes of one language; no bound where None.
        languages: The languages that are capped.
        dropped: Where the others are counted.
    """
    capped = set(languages)
    n_bytes: Counter[str] = Counter()
    kept = []
    for document in documents:
        if limit is None or document.held_out or document.language not in capped:
            kept.append(document)
            continue
        n_bytes[document.language] += document.n_bytes
        if n_bytes[document.language] <= limit:
            kept.append(document)
        else:
            dropped.add(document.language, "beyond the cap")
    return kept


def build_corpus(
    sources: Iterable[Source],
    downloads: Path,
    pool: Pool,
    *,
    limit_bytes_per_language: int | None,
    capped_languages: Iterable[str] = CAPPED_LANGUAGES,
    say: Callable[[str], None] = lambda line: None,
) -> Result:
    """Make a corpus in memory.

    Args:
        sources: The sources.
        downloads: Folder of their archives.
        pool: The processes that apply the rules and know the benchmarks.
        limit_bytes_per_language: Most bytes of training code per language; no bound where None.
        capped_languages: The languages that this holds for.
        say: Takes lines of progress.
    """
    dropped = Dropped()
    documents = read_documents(sources, downloads, dropped, pool, say)
    # held-out files first: of two that are alike the first stays, so no training file resembles a held-out one
    documents.sort(key=lambda document: (not document.held_out, document.id))
    documents = _without(documents, exact_duplicates(d.key for d in documents), "exact duplicate", dropped)
    n_checked = len(documents)
    contaminated = {document.id: document.matches for document in documents if document.matches}
    passages = [i for i, document in enumerate(documents) if document.matches]
    documents = _without(documents, passages, "holds a benchmark's passage", dropped)
    kept: list[Document] = []
    for language in LANGUAGES:
        group = [document for document in documents if document.language == language]
        gone = near_duplicates([document.shingles for document in group])
        kept += _without(group, gone, "near duplicate", dropped)
        say(f"{language}: {len(gone)} of {len(group)} files are near duplicates")
    kept.sort(key=lambda document: document.order)
    return Result(cap(kept, limit_bytes_per_language, capped_languages, dropped), dropped, n_checked, contaminated)
