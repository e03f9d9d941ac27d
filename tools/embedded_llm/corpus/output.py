"""The corpus as files: JSONL per language, a manifest, and a table for the terminal."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.embedded_llm.corpus.build import Document, Result
from tools.embedded_llm.corpus.contamination import GRAM_TOKENS, MIN_DISTINCT_WORDS, BenchmarkIndex
from tools.embedded_llm.corpus.parallel import Pool, benchmark_index
from tools.embedded_llm.corpus.sources import LANGUAGES
from tools.embedded_llm.corpus_files import SPLITS, read_codes


def part_of(document: Document) -> str:
    """``train`` or ``held_out``."""
    return "held_out" if document.held_out else "train"


def _line(document: Document) -> str:
    record = {"id": document.id, "language": document.language, "source": document.source, "code": document.code}
    return json.dumps(record, ensure_ascii=False) + "\n"


def _write_atomically(path: Path, lines: Iterable[str]) -> str:
    """Write a file under a temporary name, rename it, and return its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    digest = hashlib.sha256()
    with temporary.open("wb") as file:
        for line in lines:
            data = line.encode("utf-8")
            digest.update(data)
            file.write(data)
    temporary.replace(path)
    return digest.hexdigest()


def write_corpus(documents: list[Document], folder: Path) -> dict[str, str]:
    """Write the JSONL files; those of an earlier build that have no counterpart go.

    Args:
        documents: The files, in order.
        folder: Where they are written.

    Returns:
        SHA-256 of each file by its name within the folder.
    """
    (folder / "manifest.json").unlink(missing_ok=True)  # a manifest stands for a complete corpus only
    hashes: dict[str, str] = {}
    for part in SPLITS:
        for language in LANGUAGES:
            path = folder / part / f"{language}.jsonl"
            chosen = [d for d in documents if d.language == language and part_of(d) == part]
            if chosen:
                hashes[f"{part}/{language}.jsonl"] = _write_atomically(path, map(_line, chosen))
            else:
                path.unlink(missing_ok=True)
    return hashes


def _written_codes(folder: Path) -> Iterator[str]:
    """The code of every record of a written corpus."""
    for part in SPLITS:
        for path in sorted((folder / part).glob("*.jsonl")):
            yield from read_codes(folder, part, path.stem)


def _holds_passage(code: str) -> bool:
    index = benchmark_index()
    return index is not None and bool(index.matches(code))


def count_contaminated(folder: Path, pool: Pool) -> int:
    """Number of records of a written corpus that hold a benchmark's passage; 0 unless the build is wrong."""
    return sum(pool.map(_holds_passage, _written_codes(folder)))


def corpus_sha256(hashes: Mapping[str, str]) -> str:
    """SHA-256 over the names and hashes of the files."""
    return hashlib.sha256("".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)).encode()).hexdigest()


def sizes(documents: Iterable[Document]) -> dict[str, dict[str, dict[str, int]]]:
    """Files and bytes by part and language."""
    counts: dict[str, dict[str, dict[str, int]]] = {part: {} for part in SPLITS}
    for document in documents:
        cell = counts[part_of(document)].setdefault(document.language, {"files": 0, "bytes": 0})
        cell["files"] += 1
        cell["bytes"] += document.n_bytes
    return {part: dict(sorted(cells.items())) for part, cells in counts.items()}


def contamination_report(result: Result, index: BenchmarkIndex | None, n_left: int) -> dict[str, Any]:
    """What was compared with the benchmarks, and what was found.

    Args:
        result: What was built.
        index: The benchmarks; None where nothing was compared.
        n_left: Number of written records that hold a passage.
    """
    if index is None:
        return {"checked": False}
    per_benchmark = Counter(name for matches in result.contaminated.values() for name in matches)
    return {
        "checked": True,
        "gram_tokens": GRAM_TOKENS,
        "min_distinct_words": MIN_DISTINCT_WORDS,
        "texts": dict(sorted(index.n_texts.items())),
        "texts_without_telling_grams": dict(sorted(index.n_untold.items())),
        "grams": index.n_grams(),
        "distinct_grams": len(index),
        "files_checked": result.n_checked,
        "files_dropped": len(result.contaminated),
        "files_dropped_per_benchmark": dict(sorted(per_benchmark.items())),
        "files_left_in_output": n_left,
        "dropped": {
            id_: {name: " ".join(gram) for name, gram in sorted(matches.items())}
            for id_, matches in sorted(result.contaminated.items())
        },
    }


def write_manifest(
    folder: Path,
    result: Result,
    hashes: Mapping[str, str],
    sources: list[dict[str, Any]],
    contamination: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Write ``manifest.json``: what the corpus was made of and how.

    Args:
        folder: The corpus.
        result: What was built.
        hashes: SHA-256 of the files.
        sources: What is known of each source; files and bytes kept are added.
        contamination: What was checked against the benchmarks.
        options: The options of the build.
    """
    files: Counter[str] = Counter()
    n_bytes: Counter[str] = Counter()
    for document in result.documents:
        files[document.source] += 1
        n_bytes[document.source] += document.n_bytes
    manifest = {
        "corpus_sha256": corpus_sha256(hashes),
        "files": dict(sorted(hashes.items())),
        "sizes": sizes(result.documents),
        "dropped": {lang: dict(sorted(c.items())) for lang, c in sorted(result.dropped.counts.items())},
        "contamination": contamination,
        "options": options,
        "sources": [{**s, "files": files[s["label"]], "bytes": n_bytes[s["label"]]} for s in sources],
    }
    _write_atomically(folder / "manifest.json", [json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"])


def table(result: Result) -> str:
    """Files and MB per language and part, and what was dropped by reason."""
    counts = sizes(result.documents)
    lines = [f"{'language':<12}{'train files':>12}{'MB':>9}{'held-out':>10}{'MB':>8}   dropped"]
    reasons = result.dropped.counts
    for language in (*LANGUAGES, *sorted(set(reasons) - set(LANGUAGES))):
        train, held_out = (counts[part].get(language, {"files": 0, "bytes": 0}) for part in SPLITS)
        n_dropped = sum(reasons.get(language, Counter()).values())
        if not train["files"] + held_out["files"] + n_dropped:
            continue
        lines.append(
            f"{language:<12}{train['files']:>12}{train['bytes'] / 1e6:>9.1f}"
            f"{held_out['files']:>10}{held_out['bytes'] / 1e6:>8.2f}   {n_dropped}"
        )
    for language, counter in sorted(reasons.items()):
        lines.append(f"dropped, {language}:")
        lines += [f"  {n:>7} {reason}" for reason, n in counter.most_common()]
    return "\n".join(lines)
