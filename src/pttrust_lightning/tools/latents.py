"""``pttrust latents``: what each latent of an encoder fires on, and what that has to do with wrong lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pttrust_lightning.datamodules.labelled import LabelledLines, line_features
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.figures import Theme, firing_rates, odds_ratios, risk_shares, save
from pttrust_lightning.interpretation.activations import encode_lines
from pttrust_lightning.interpretation.effects import LatentEffects, latent_effects
from pttrust_lightning.interpretation.table import latent_rows
from pttrust_lightning.metrics.curves import firing_histogram
from pttrust_lightning.metrics.evaluation import Estimate
from pttrust_lightning.models.folder import check_states
from pttrust_lightning.models.risk_model import RiskModel
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder
from pttrust_lightning.parsing import Parser
from pttrust_lightning.report.latent_tables import (
    PAGE_NAME,
    TABLE_NAME,
    LatentReport,
    SourceLine,
    largest_share,
    least_p,
    write_latents,
)
from pttrust_lightning.source.languages import line_kinds
from pttrust_lightning.source.lines import split_lines
from pttrust_lightning.tools import RunLightning
from pttrust_lightning.types import Exclusions, SnippetStates

UNKNOWN_LINES = "snippet that is wrong, but not known where: its lines are neither right nor wrong"


def run(args: Sequence[str], lightning: RunLightning) -> None:
    """Write what is known of each latent of an encoder: how often it fires, on which lines, how that goes with being wrong, and what it does to a risk model's scores."""  # noqa: E501 (argparse shows it as it is)
    parser = Parser(prog="pttrust latents", description=run.__doc__)
    parser.add_argument(
        "--config",
        action="config",
        help="Data configuration of labelled lines, as for fit (other keys are not allowed).",
    )
    parser.add_subclass_arguments(LabelledLines, "data", required=True)
    parser.add_argument("--encoder", type=str, required=True, help="Folder of the autoencoder that stage 1 exported.")
    parser.add_argument("--risk_model", type=str | None, help="Folder of a risk model that stage 2 exported, on it.")
    parser.add_argument("--output", type=str, required=True, help=f"Folder for {TABLE_NAME}, {PAGE_NAME} and figures.")
    parser.add_argument("--split", type=Literal["all", "train", "val", "test"], default="all", help="Which snippets.")
    parser.add_argument(
        "--top_lines", type=int, default=10, help="Lines named of each latent, those with the same text once."
    )
    parser.add_argument("--shown", type=int, default=20, help=f"Latents in each table of {PAGE_NAME} and each figure.")
    config = parser.parse_args(list(args))
    if config.top_lines < 0 or config.shown < 0:
        raise ConfigError(f"top_lines is {config.top_lines} and shown is {config.shown}. Set them to at least 0.")
    encoder, provenance = SparseAutoencoder.load(Path(config.encoder))
    model = None if config.risk_model is None else _risk_model(Path(config.risk_model), encoder, config.encoder)
    data: LabelledLines = parser.instantiate(config).data
    check_states(provenance, data.state_provenance, config.encoder)
    data.prepare_data()
    data.setup("test")
    items = [item for name, part in data.split.items() if config.split in ("all", name) for item in part]
    report = describe_latents(
        encoder, model, items, f"{data.snippets.describe()}, split {config.split}", config.top_lines
    )
    write_latents(Path(config.output), report, config.shown)
    for name, draw in figures_of_latents(report, config.shown).items():
        save(draw, Path(config.output) / "figures" / name)
    for reason in report.left_out:
        print(f"  {reason}")
    print(f"Written in {config.output}: {TABLE_NAME}, {PAGE_NAME}, figures/")


def describe_latents(
    encoder: SparseAutoencoder, model: RiskModel | None, items: Sequence[SnippetStates], source: str, top_lines: int
) -> LatentReport:
    """What each latent says of some labelled snippets.

    Args:
        encoder: Whose latents.
        model: A risk model on that encoder, or None.
        items: Labelled snippets with the states of their lines.
        source: Where they come from, for the report.
        top_lines: Lines to name of each latent; those that differ only in indentation count as one.

    Raises:
        ConfigError: No line is known to be wrong, or none to be right.
    """
    left_out = Exclusions()
    known = []
    for item in items:
        if not item.snippet.correct and not item.snippet.wrong_lines:
            left_out.add(UNKNOWN_LINES, item.snippet.id)
        else:
            known.append(item)
    lines = [line for item in known for line in _lines(item)]
    wrong = np.array([line.wrong for line in lines], dtype=bool)
    code = np.array([line.kind == "code" for line in lines], dtype=bool)
    if not wrong.any() or wrong.all():
        raise ConfigError(
            f"{source}: {int(wrong.sum())} of {len(wrong)} lines are wrong, so no latent can tell wrong lines from "
            "right ones. Give snippets with both."
        )
    _, texts = np.unique([line.text.strip() for line in lines], return_inverse=True)
    activations = encode_lines(encoder, (item.lines.states for item in known))
    effects: LatentEffects | None = None
    if model is not None:
        effects = latent_effects(model, (_model_lines(item, model) for item in known))
    rows = latent_rows(activations, wrong, code, texts, top_lines, effects)
    return LatentReport(rows, lines, source, left_out.describe())


def figures_of_latents(report: LatentReport, shown: int) -> dict[str, Callable[[Theme], Figure]]:
    """What draws a figure of each claim that there are numbers for, by the figure's name.

    That latents are sparse (``firing-rates``), that some go with being wrong (``odds-ratios``), and how much of a risk
    model's say is theirs (``risk-shares``).

    Args:
        report: What is known of the latents.
        shown: Latents in a figure: those of the page's tables.
    """
    counts = np.array([row.n_fired for row in report.rows])
    histogram = firing_histogram(counts, len(report.lines))
    draw: dict[str, Callable[[Theme], Figure]] = {"firing-rates": partial(firing_rates, {"latents": histogram})}
    if rows := [row for row in least_p(report.rows, shown) if not np.isnan(row.code_odds_ratio)]:
        ratios = {
            "all lines": {r.latent: Estimate(r.odds_ratio, r.odds_ratio_low, r.odds_ratio_high) for r in rows},
            "lines that hold code": {
                r.latent: Estimate(r.code_odds_ratio, r.code_odds_ratio_low, r.code_odds_ratio_high) for r in rows
            },
        }
        draw["odds-ratios"] = partial(odds_ratios, ratios)
    shares = {row.latent: row.variance_share for row in largest_share(report.rows, shown)}
    known = {latent: share for latent, share in shares.items() if share is not None and not np.isnan(share)}
    if known:
        draw["risk-shares"] = partial(risk_shares, known)
    return draw


def _risk_model(folder: Path, encoder: SparseAutoencoder, encoder_folder: str) -> RiskModel:
    model, _ = RiskModel.load(folder)
    own = {} if model.encoder is None else model.encoder.state_dict()
    given = encoder.state_dict()
    if own.keys() != given.keys() or any(not torch.equal(own[name], given[name]) for name in own):
        raise ConfigError(
            f"risk_model: {folder} ranks by the latents of another encoder than {encoder_folder}, or by none. Give the "
            "encoder that it was trained on."
        )
    return model


def _lines(item: SnippetStates) -> list[SourceLine]:
    texts = [line.text for line in split_lines(item.snippet.code)]
    kinds = line_kinds(item.snippet.code, item.snippet.language)
    numbers = item.lines.line_numbers.tolist()
    return [
        SourceLine(item.snippet.id, number, texts[number], bool(label > 0), kinds[number])
        for number, label in zip(numbers, item.labels, strict=True)
    ]


def _model_lines(item: SnippetStates, model: RiskModel) -> Tensor:
    """Each line as the risk model takes it, ``(T, D + F)``.

    Raises:
        ConfigError: The data lacks a feature that the model sees.
    """
    known = line_features(item)
    if missing := set(model.feature_names) - known.keys():
        raise ConfigError(
            f"The risk model sees {', '.join(sorted(missing))}, which the data lacks. Read it too (uncertainty: true)."
        )
    features = [torch.from_numpy(known[name]).float() for name in model.feature_names]
    return torch.cat([item.lines.states.float(), *features], dim=-1)
