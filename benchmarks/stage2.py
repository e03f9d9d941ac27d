"""NeuralNDCG and a stage-2 training step against the paper's formulas written out, in turn in one process.

Two ways to write the formulas out (NeuralSort, arXiv 1903.08850, eq. 5; NeuralNDCG, arXiv 2102.07831), both dividing
the whole matrix by its column sums, then by its row sums, in each Sinkhorn round, all of it recorded by autograd:

- ``literal``: one snippet after another, so without padding. As in the published implementation (which pads, though),
  each round asks whether all sums are within 1e-6 of 1, and on a GPU the host waits for each answer. Published, the
  rounds end there; here they go on, since gradients would differ by more than 1e-5: snippets of few lines or of close
  scores are charged rounds that the published implementation would not have run.
- ``literal_batched``: the padded batch with its mask, a fixed number of rounds, nothing asked: what is left of the gain
  when batching, which the formulas allow as well, is not counted.

Each gets the same logits, labels and mask, and gives the value and the gradient of the logits. A training step is that
of ``RiskFineTuning``: frozen encoder, line ranker, loss, backward, Adam. Values and gradients must agree within 1e-5.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from side_by_side import device_name, in_words, ratios, time_in_turn, wait_for, write_json
from torch import Tensor

from pttrust_lightning.losses import neural_ndcg
from pttrust_lightning.models.risk_model import RiskModel
from pttrust_lightning.models.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from pttrust_lightning.states.language_model import resolve_device

OURS = "pttrust_lightning"
TOLERANCE = 1e-5
"""Largest difference of a value or a gradient between two ways; gradients above 1 relative to the largest of them."""

STOP_AT = 1e-6
"""The published implementation's tolerance of the sums."""

MIN_LINES = 5


class Snippets(NamedTuple):
    """A batch of snippets.

    Attributes:
        states: Line states, ``(B, T, D)``.
        relevance: 1 where a line is wrong, ``(B, T)``.
        mask: True where there is a line, ``(B, T)``.
        lengths: Lines of each snippet, known to the host.
    """

    states: Tensor
    relevance: Tensor
    mask: Tensor
    lengths: list[int]


Loss = Callable[[Tensor, Snippets], Tensor]


def make_snippets(n: int, max_lines: int, width: int, device: torch.device) -> Snippets:
    """Snippets of 5 to ``max_lines`` lines with one to three wrong ones; states of lines are normal."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(MIN_LINES, max_lines + 1, (n,), generator=generator)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    relevance = torch.zeros(mask.shape)
    for row, length in enumerate(lengths.tolist()):
        wrong = torch.randperm(length, generator=generator)[: 1 + row % 3]
        relevance[row, wrong] = 1.0
    states = torch.randn(*mask.shape, width, generator=generator) * mask[..., None]
    return Snippets(states.to(device), relevance.to(device), mask.to(device), lengths.tolist())


def ours(logits: Tensor, snippets: Snippets, iterations: int) -> Tensor:
    """The package's loss."""
    return neural_ndcg(logits, snippets.relevance, snippets.mask, sinkhorn_iterations=iterations)


def literal(logits: Tensor, snippets: Snippets, iterations: int) -> Tensor:
    """The formulas, snippet by snippet."""
    losses = []
    for row, n in enumerate(snippets.lengths):
        s, y = logits[row, :n], snippets.relevance[row, :n]
        spread = (s[:, None] - s[None, :]).abs().sum(dim=1)
        slopes = n + 1 - 2 * torch.arange(1, n + 1, device=s.device)
        p = (slopes[:, None] * s[None, :] - spread[None, :]).softmax(dim=1)
        for _ in range(iterations):
            p = p / p.sum(dim=0, keepdim=True).clamp_min(1e-10)
            p = p / p.sum(dim=1, keepdim=True).clamp_min(1e-10)
            sums = p.sum(dim=1), p.sum(dim=0)
            all(bool((part - 1).abs().max() < STOP_AT) for part in sums)  # asked for its cost alone
        discounts = 1 / torch.log2(1.0 + torch.arange(1, n + 1, device=s.device))
        losses.append(1 - (p @ y) @ discounts / (y.sort(descending=True).values @ discounts))
    return torch.stack(losses).mean()


def literal_batched(logits: Tensor, snippets: Snippets, iterations: int) -> Tensor:
    """The formulas on the padded batch."""
    mask, y = snippets.mask, snippets.relevance
    square = mask[:, :, None] & mask[:, None, :]
    gaps = (logits[:, :, None] - logits[:, None, :]).abs().masked_fill(~square, 0.0)
    ranks = torch.arange(1, mask.shape[1] + 1, device=logits.device)
    slopes = mask.sum(dim=1, keepdim=True) + 1 - 2 * ranks
    p = slopes[:, :, None] * logits[:, None, :] - gaps.sum(dim=2)[:, None, :]
    p = p.masked_fill(~mask[:, None, :], -torch.inf).softmax(dim=2).masked_fill(~square, 0.0)
    for _ in range(iterations):
        for dim in (1, 2):
            sums = p.sum(dim=dim, keepdim=True)
            p = p / torch.where(sums > 0, sums, 1.0)  # padded rows and columns stay zero
    discounts = 1 / torch.log2(1.0 + ranks)
    dcg = (p @ y[..., None])[..., 0] @ discounts
    return (1 - dcg / (y.sort(dim=1, descending=True).values @ discounts)).mean()


def make_ranker(snippets: Snippets, spread: float) -> RiskModel:
    """Stage 2's model at the paper's sizes, its scores spread out as after some training."""
    torch.manual_seed(0)
    d_in = snippets.states.shape[-1]
    model = RiskModel(d_in, SparseAutoencoder(SparseAutoencoderConfig(d_in))).to(snippets.states.device)
    with torch.no_grad():
        model.ranker.head.weight *= spread / model.logits(snippets.states)[snippets.mask].std()
    return model


class Step:
    """A training step with one of the losses, on a model of its own.

    Args:
        loss: The loss.
        snippets: What is trained on.
        spread: Standard deviation of the scores at first.
    """

    def __init__(self, loss: Loss, snippets: Snippets, spread: float) -> None:
        self.loss, self.snippets = loss, snippets
        self.model = make_ranker(snippets, spread)
        ranker = self.model.ranker.parameters()
        self.optimiser = torch.optim.Adam(ranker, lr=1e-4, weight_decay=1e-5)  # as RiskFineTuning has it

    def __call__(self) -> Tensor:
        """Take it, and return the loss."""
        self.optimiser.zero_grad()
        value = self.loss(self.model.logits(self.snippets.states), self.snippets)
        value.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return value.detach()

    def gradient(self) -> Tensor:
        """Of the ranker, after a step."""
        return torch.cat([p.grad.flatten() for p in self.model.ranker.parameters() if p.grad is not None])


def value_and_gradient(loss: Loss, logits: Tensor, snippets: Snippets) -> tuple[Tensor, Tensor]:
    """Forward and backward."""
    leaf = logits.detach().requires_grad_()
    value = loss(leaf, snippets)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def differences(found: dict[str, tuple[Tensor, Tensor]]) -> dict[str, dict[str, float]]:
    """Of each other way's value and gradient from ours."""
    value, gradient = found[OURS]
    scale = gradient.abs().max().clamp_min(1.0)
    return {
        name: {"value": float((v - value).abs()), "gradient": float(((g - gradient) / scale).abs().max())}
        for name, (v, g) in found.items()
        if name != OURS
    }


def compare(ways: dict[str, Callable[[], object]], calls: int, repeats: int, device: torch.device) -> dict[str, Any]:
    """Time the ways, which are warm, in turn."""

    def run(way: Callable[[], object]) -> None:
        for _ in range(calls):
            way()
        wait_for(device)

    wait_for(device)
    seconds = time_in_turn({name: partial(run, way) for name, way in ways.items()}, repeats)
    return {
        "milliseconds": {name: 1000 * statistics.median(times) / calls for name, times in seconds.items()},
        "speed_up": {name: ratios(times, seconds[OURS]) for name, times in seconds.items() if name != OURS},
    }


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Check that the ways agree, then time them."""
    device = resolve_device(args.device)
    snippets = make_snippets(args.snippets, args.max_lines, args.width, device)
    losses: dict[str, Loss] = {
        OURS: partial(ours, iterations=args.iterations),
        "literal": partial(literal, iterations=args.iterations),
        "literal_batched": partial(literal_batched, iterations=args.iterations),
    }
    logits = args.spread * torch.randn(snippets.mask.shape, generator=torch.Generator().manual_seed(1)).to(device)
    steps = {name: Step(loss, snippets, args.spread) for name, loss in losses.items()}
    apart = {
        "loss": differences({name: value_and_gradient(loss, logits, snippets) for name, loss in losses.items()}),
        "training_step": differences({name: (step(), step.gradient()) for name, step in steps.items()}),
    }
    ways = {name: partial(value_and_gradient, loss, logits, snippets) for name, loss in losses.items()}
    return {
        "snippets": args.snippets,
        "lines": sum(snippets.lengths),
        "longest": snippets.mask.shape[1],
        "width": args.width,
        "sinkhorn_iterations": args.iterations,
        "spread_of_scores": args.spread,
        "repeats": args.repeats,
        "calls": args.calls,
        "device": device_name(device),
        "torch_threads": torch.get_num_threads(),
        "largest_difference": apart,
        "equal": all(d <= TOLERANCE for part in apart.values() for way in part.values() for d in way.values()),
        "loss": compare(dict(ways), args.calls, args.repeats, device),
        "training_step": compare(dict(steps), args.calls, args.repeats, device),
    }


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snippets", type=int, default=32)
    parser.add_argument("--max-lines", type=int, default=60, help=f"snippets have {MIN_LINES} to this many lines")
    parser.add_argument("--width", type=int, default=896, help="of a state")
    parser.add_argument("--iterations", type=int, default=50, help="rounds of Sinkhorn scaling")
    parser.add_argument("--spread", type=float, default=1.0, help="standard deviation of the scores")
    parser.add_argument("--calls", type=int, default=5, help="calls that are timed together")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/stage2.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)  # as the stage's configuration does: more cost more than they give
    result = measure(args)
    write_json(result, args.out)
    print(
        f"{result['snippets']} snippets, {result['lines']} lines, the longest {result['longest']}; "
        f"{result['sinkhorn_iterations']} rounds; {result['device']}"
    )
    for part in ("loss", "training_step"):
        for name, milliseconds in result[part]["milliseconds"].items():
            ratio = result[part]["speed_up"].get(name)
            apart = result["largest_difference"][part].get(name, {})
            times = f"  ours is {in_words(ratio)} times as fast" if ratio else ""
            off = "".join(f", {what} {d:.0e} off" for what, d in apart.items())
            print(f"{part:14} {name:18} {milliseconds:9.2f} ms{times}{off}")
    if not result["equal"]:
        raise SystemExit(f"Values or gradients differ by more than {TOLERANCE}: the figures compare nothing.")


if __name__ == "__main__":
    main()
