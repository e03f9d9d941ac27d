"""Weights that are quantised while they are loaded, by a method registered for the test: no package is needed."""

from __future__ import annotations

import json

import pytest
import torch
from tiny_llms import PYTHON
from transformers.quantizers import auto
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from pttrust_lightning.errors import LanguageModelError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.language_model import load_truncated, provenance
from pttrust_lightning.types import Exclusions, Program, ProgramGroup

GROUPS = [ProgramGroup(Program("p", PYTHON, "python"))]


class RoundingConfig(QuantizationConfigMixin):
    """Weights in steps."""

    def __init__(self, step=0.05, **_):
        self.quant_method, self.step = "rounding", step


class RoundingQuantizer(HfQuantizer):
    requires_calibration = False
    is_trainable = False

    def is_serializable(self):
        return False

    def _process_model_after_weight_loading(self, model, **kwargs):
        for parameter in model.parameters():
            parameter.data = (parameter.data / self.quantization_config.step).round() * self.quantization_config.step
        return model


class NeedsPackage(RoundingQuantizer):
    def validate_environment(self, *args, **kwargs):
        raise ImportError("Using `rounding` quantization requires the package rounder: `pip install rounder`")


@pytest.fixture
def rounding(monkeypatch):
    """Registers a quantiser under the name ``rounding``."""

    def register(quantizer):
        monkeypatch.setitem(auto.AUTO_QUANTIZATION_CONFIG_MAPPING, "rounding", RoundingConfig)
        monkeypatch.setitem(auto.AUTO_QUANTIZER_MAPPING, "rounding", quantizer)

    return register


def config(folder, **quantization):
    return LineStateConfig(llm=str(folder), quantization=quantization or None)


def test_weights_are_quantised_as_the_settings_say(gpt2, rounding):
    rounding(RoundingQuantizer)
    for step in (0.5, 0.01):
        weight = load_truncated(config(gpt2, quant_method="rounding", step=step)).h[0].mlp.c_fc.weight
        torch.testing.assert_close(weight, (weight / step).round() * step)
    coarse = LineStateExtractor(config(gpt2, quant_method="rounding", step=0.5)).extract(GROUPS, Exclusions())
    plain = LineStateExtractor(config(gpt2)).extract(GROUPS, Exclusions())
    assert not torch.allclose(coarse[0].states, plain[0].states, rtol=0.1)


def test_states_of_other_quantisation_never_mix(gpt2):
    plain, coarse, fine = (
        provenance(config(gpt2, **settings))
        for settings in ({}, {"quant_method": "rounding", "step": 0.5}, {"quant_method": "rounding", "step": 0.1})
    )
    assert plain.quantisation is None
    assert coarse.quantisation == {"quant_method": "rounding", "step": 0.5}
    assert coarse != fine
    json.dumps(fine)


def test_a_missing_package_is_named(gpt2, rounding):
    rounding(NeedsPackage)
    with pytest.raises(LanguageModelError, match=r"requires the package rounder.*Install what is missing"):
        LineStateExtractor(config(gpt2, quant_method="rounding"))


@pytest.mark.parametrize("settings", [{"quant_method": "no_such_method"}, {"quant_method": "torchao", "nonsense": 3}])
def test_settings_that_no_method_takes_are_refused(gpt2, settings):
    with pytest.raises(LanguageModelError, match=r"states\.quantization .* cannot be used .*install that method"):
        LineStateExtractor(config(gpt2, **settings))


def test_what_a_method_lacks_here_is_said(gpt2):
    """Whichever of these packages is missing where the test runs, the message says so."""
    pytest.importorskip("transformers")
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        with pytest.raises(LanguageModelError, match=r"bitsandbytes|accelerate"):
            LineStateExtractor(config(gpt2, quant_method="bitsandbytes", load_in_8bit=True))


def test_weights_that_are_quantised_already_are_not_quantised_again(gpt2, tmp_path):
    for file in gpt2.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    stored = json.loads((tmp_path / "config.json").read_text())
    stored["quantization_config"] = {"quant_method": "rounding", "step": 0.25}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert provenance(config(tmp_path)).quantisation["step"] == 0.25
    with pytest.raises(LanguageModelError, match=r"quantised already \(rounding\)"):
        LineStateExtractor(config(tmp_path, quant_method="rounding"))
