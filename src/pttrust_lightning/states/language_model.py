"""Loading the frozen LLM: from the package, a folder or the hub; whole, or just the blocks that are read."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer
from transformers.quantizers.auto import AutoQuantizationConfig
from transformers.utils import logging as transformers_logging

from pttrust_lightning.errors import ConfigError, LanguageModelError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.layers import resolve_layers, state_layers
from pttrust_lightning.states.memory import is_out_of_memory

EMBEDDED = "embedded"
"""Name of the small code LLM that comes with the package."""

_HUB_FILES = ["*.json", "*.safetensors", "*.model", "merges.txt", "vocab.txt"]
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    "merges.txt", "vocab.json",
)  # fmt: skip


class Provenance(NamedTuple):
    """What the states come from. States of different provenance never mix; the cache and the exported models keep it.

    Attributes:
        llm: The model's name (a local folder's own name, since its path means nothing elsewhere).
        revision: Revision of a hub model.
        weights_sha256: Hash of its weight files and configuration.
        tokenizer_sha256: Hash of its tokenizer files.
        quantisation: How its weights are quantised, in its files or while they are loaded; None where they are not.
        layer: 0-based decoder block whose output is read; of several that make up a state, the list of them, ascending.
        line_rule: Which token stands for a line.
        context_length: Tokens read per program.
        dtype: The type that the LLM ran in.
    """

    llm: str
    revision: str | None
    weights_sha256: str
    tokenizer_sha256: str
    quantisation: dict[str, Any] | None
    layer: int | list[int]
    line_rule: str
    context_length: int
    dtype: str


def model_folder(llm: str, revision: str | None = None) -> Path:
    """The local folder of a model: the embedded one, a folder, or one fetched from the hub (or its local store).

    Raises:
        LanguageModelError: There is no such folder, or the hub cannot provide it.
    """
    if llm == EMBEDDED:
        return Path(str(resources.files("pttrust_lightning"))) / "assets" / "embedded_llm"
    folder = Path(llm).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or llm.startswith((".", "~")):
        raise LanguageModelError(f"The LLM folder {llm} does not exist. Give a folder, a hub name, or '{EMBEDDED}'.")
    from huggingface_hub import snapshot_download  # imported late: a local model needs no hub client

    try:
        return Path(snapshot_download(llm, revision=revision, allow_patterns=_HUB_FILES))
    except Exception as error:  # the hub client raises errors of many libraries
        raise LanguageModelError(
            f"The LLM {llm!r} is neither a folder nor to be had from the Hugging Face hub ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no details'}). Check the name, download it first "
            f"(hf download {llm}), or use '{EMBEDDED}'."
        ) from error


def load_config(config: LineStateConfig) -> Any:
    """The LLM's ``transformers`` configuration, without its weights.

    Raises:
        LanguageModelError: No such model, or its configuration cannot be read.
    """
    folder = model_folder(config.llm, config.revision)
    try:
        loaded = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise LanguageModelError(
            f"{folder}/config.json is not the configuration of a model that transformers knows ({_first_line(error)}). "
            "Models that need code of their own are not loaded (trust_remote_code=False)."
        ) from error
    if type(loaded) not in MODEL_FOR_CAUSAL_LM_MAPPING or loaded.is_encoder_decoder:
        raise LanguageModelError(
            f"{folder} holds a model of type {loaded.model_type!r}, which is not a decoder-only language model. "
            "Use a causal LM."
        )
    for field in ("num_hidden_layers", "hidden_size", "vocab_size"):
        if not isinstance(getattr(loaded, field, None), int):
            raise LanguageModelError(
                f"{folder}/config.json has no {field}: this is not a decoder-only language model. Use a causal LM."
            )
    return loaded


def context_length(config: LineStateConfig, llm_config: Any) -> int:
    """Tokens read per program: what is asked for, at most what the LLM's positions allow.

    Raises:
        LanguageModelError: More is asked for than the LLM has positions, or it does not say how many it has.
    """
    limit = getattr(llm_config, "max_position_embeddings", None)
    if config.context_length is None:
        if limit is None:
            raise LanguageModelError(f"{config.llm} does not state its context length. Set states.context_length.")
        return int(limit)
    if limit is not None and config.context_length > limit:
        raise LanguageModelError(
            f"context_length {config.context_length} is more than the {limit} positions of {config.llm}. "
            f"Set states.context_length to at most {limit}."
        )
    return config.context_length


def load_tokenizer(config: LineStateConfig) -> Any:
    """The LLM's fast tokenizer.

    Raises:
        LanguageModelError: It cannot be read.
    """
    folder = model_folder(config.llm, config.revision)
    remedy = "Save one beside the model: AutoTokenizer.from_pretrained(...).save_pretrained(folder)."
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, use_fast=True)
    except (OSError, ValueError, KeyError) as error:
        raise LanguageModelError(
            f"No tokenizer could be read from {folder} ({_first_line(error)}). {remedy}"
        ) from error
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # transformers makes an empty one where there are no files
        raise LanguageModelError(f"{folder} holds no tokenizer. {remedy}")
    return tokenizer


def _first_line(error: Exception) -> str:
    """What an error says before it turns to general advice."""
    return str(error).partition("\n")[0]


def load_truncated(config: LineStateConfig) -> nn.Module:
    """The LLM's first blocks, up to the last that is read, without LM head: nothing else is loaded or run.

    Raises:
        LanguageModelError: The layer does not exist, or weights are missing.
    """
    llm_config = load_config(config)
    n_blocks = resolve_layers(config.layer, config.layers, llm_config.num_hidden_layers)[-1] + 1
    llm_config.num_hidden_layers = n_blocks
    if getattr(llm_config, "layer_types", None):  # one entry a block in families that mix attention types
        llm_config.layer_types = llm_config.layer_types[:n_blocks]
    return _load(AutoModel, config, llm_config)


def load_causal_lm(config: LineStateConfig, gives_attention: bool = False) -> nn.Module:
    """The whole LLM with its LM head, for token probabilities.

    Args:
        config: Which LLM.
        gives_attention: Compute attention weights as such; fused kernels, the default, never hold them.

    Raises:
        LanguageModelError: Weights are missing.
    """
    settings = {"attn_implementation": "eager"} if gives_attention else {}
    return _load(AutoModelForCausalLM, config, load_config(config), **settings)


def resolve_device(name: str) -> torch.device:
    """The torch device of a setting; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: There is no such device here.
    """
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ConfigError(
            f"The device {name!r} cannot be used ({error}). Set it to auto, cpu, cuda or cuda:0."
        ) from error
    return device


def _load(auto_class: Any, config: LineStateConfig, llm_config: Any, **attention: str) -> nn.Module:
    """The model on its device, frozen."""
    folder = model_folder(config.llm, config.revision)
    _weight_files(folder)
    device = resolve_device(config.device)
    settings = _quantisation_settings(config, llm_config, device)
    try:
        with _no_unexpected_keys_report():
            model, info = auto_class.from_pretrained(
                folder,
                config=llm_config,
                dtype=getattr(torch, config.dtype),
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are named below; the error for them names none
                **attention,
                **settings,
            )
            if not settings:  # quantised weights are made where they stay
                model = model.to(device)
    except (OSError, ValueError, RuntimeError, ImportError, NotImplementedError, SafetensorError) as error:
        raise LanguageModelError(_why_not_loaded(error, config, folder, bool(settings))) from error
    if info["missing_keys"] or info["mismatched_keys"]:
        keys = sorted(
            str(k[0] if isinstance(k, tuple) else k) for k in [*info["missing_keys"], *info["mismatched_keys"]]
        )
        raise LanguageModelError(
            f"The weights in {folder} lack {len(keys)} of the model's tensors, or hold them in another shape, "
            f"{keys[0]} among them. Save the model again (save_pretrained), with its own config.json."
        )
    return model.requires_grad_(False).eval()  # type: ignore[no-any-return]


def _quantisation_settings(config: LineStateConfig, llm_config: Any, device: torch.device) -> dict[str, Any]:
    """What ``from_pretrained`` is told of quantised weights; nothing where they are not quantised."""
    stored = _stored_quantisation(llm_config)
    place: dict[str, Any] = {"device_map": {"": device}}
    if device.type == "cpu" and not torch.cuda.is_available():
        place["device_map"] = None  # there is no other place, and naming one takes the package accelerate
    if config.quantization is None:
        return {} if stored is None else place
    if stored is not None:
        raise LanguageModelError(
            f"The weights of {config.llm} are quantised already ({stored.get('quant_method', 'unknown method')}). "
            "Leave states.quantization out."
        )
    try:
        made = AutoQuantizationConfig.from_dict(dict(config.quantization))
    except (ValueError, TypeError, ImportError) as error:
        raise LanguageModelError(
            f"states.quantization {config.quantization} cannot be used ({error}). Give the settings of a method that "
            "transformers knows, and install that method's package."
        ) from error
    return {"quantization_config": made, **place}


def _why_not_loaded(error: Exception, config: LineStateConfig, folder: Path, quantised: bool) -> str:
    if is_out_of_memory(error):
        return (
            f"The weights of {config.llm} do not fit the memory of the device ({config.device}) in {config.dtype}. "
            "Set states.dtype to bfloat16, quantise them (states.quantization), or choose another device or LLM."
        )
    if quantised:
        return (
            f"{config.llm} cannot be loaded with quantised weights here ({error}). Install what is missing, choose "
            "another device, or an LLM that is not quantised (and leave states.quantization out)."
        )
    return f"The weights in {folder} cannot be loaded ({error}). Fetch or save the model again."


def _stored_quantisation(llm_config: Any) -> dict[str, Any] | None:
    """The quantisation that a model's files say they have."""
    stored = getattr(llm_config, "quantization_config", None)
    return stored if stored is None or isinstance(stored, dict) else stored.to_dict()


@contextlib.contextmanager
def _no_unexpected_keys_report() -> Iterator[None]:
    """Silence the long list of tensors that a truncated model leaves out, and the bar; nothing else."""

    class NoReport(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return "LOAD REPORT" not in record.getMessage()

    report, logger = NoReport(), logging.getLogger("transformers.modeling_utils")
    bar_was_on = transformers_logging.is_progress_bar_enabled()
    logger.addFilter(report)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.removeFilter(report)
        if bar_was_on:
            transformers_logging.enable_progress_bar()


def provenance(config: LineStateConfig) -> Provenance:
    """What the states of ``config`` come from; hashes the LLM's files, but loads none of its weights.

    Raises:
        LanguageModelError: The model, its layer or its context length do not exist.
    """
    folder = model_folder(config.llm, config.revision)
    llm_config = load_config(config)
    quantisation = _stored_quantisation(llm_config) if config.quantization is None else config.quantization
    layers = state_layers(config.layer, llm_config.num_hidden_layers)
    return Provenance(
        llm=Path(config.llm).name if Path(config.llm).is_dir() else config.llm,
        revision=config.revision,
        weights_sha256=_files_sha256([folder / "config.json", *_weight_files(folder)]),
        tokenizer_sha256=_files_sha256([p for name in _TOKENIZER_FILES if (p := folder / name).is_file()]),
        quantisation=json.loads(json.dumps(quantisation, default=str)),
        layer=layers[0] if len(layers) == 1 else list(layers),
        line_rule=config.line_rule,
        context_length=context_length(config, llm_config),
        dtype=config.dtype,
    )


def _weight_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise LanguageModelError(
            f"{folder} holds no safetensors weights. Pickled weights are not loaded: convert them first "
            "(model.save_pretrained writes safetensors)."
        )
    return files


def _files_sha256(files: list[Path]) -> str:
    """One hash over files' names and contents."""
    return _hash_files(tuple((f, f.stat().st_size, f.stat().st_mtime_ns) for f in files))


@functools.lru_cache(maxsize=16)
def _hash_files(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Cached by size and time of the files, since models are large and rarely change under a run."""
    total = hashlib.sha256()
    for file, _, _ in files:
        with file.open("rb") as stream:
            total.update(f"{file.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
