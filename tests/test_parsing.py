"""Names that are almost right, on every command line: what is wrong is said, and what was meant."""

import pytest

from pttrust_lightning.main import main
from pttrust_lightning.parsing import explained, suggestions

MODEL = ["--model", "ContrastivePretraining"]


@pytest.mark.parametrize(
    ("arguments", "yaml", "meant"),
    [
        (["fit", *MODEL, "--model.init_args.n_latent=3"], None, "n_latents"),
        (["fit"], "trainer: {max_epoch: 3}", "trainer.max_epochs"),
        (["fit"], "data: {class_path: UnlabelledStates, init_args: {cach_dir: x}}", "cache_dir"),
        (
            ["fit"],
            "data: {class_path: UnlabelledStates, init_args: "
            "{corpus: {class_path: FolderCorpus, init_args: {pth: x}}}}",
            "path",
        ),
        (["fit", "--data", "UnlabeledStates"], None, "UnlabelledStates"),
        (["fit", "--data", "pttrust_lightning.datamodules.UnlabeledStates"], None, "UnlabelledStates"),
        (["extract", "--data", "UnlabelledStates", "--data.cach_dir=x"], None, "cache_dir"),
        (["extract", "--data", "UnlabelledStates", "--data.states.contxt_length=3"], None, "states.context_length"),
        (["extract", "--data", "UnlabelledStates", "--data.states.storage_dtype=bf16"], None, "storage_dtype"),
        (["extract"], "data: {class_path: UnlabelledStates, init_args: {states: {lm: x}}}", "states.llm"),
        (["extract"], "dta: {class_path: UnlabelledStates}", "data"),
        (["fit", "--trainer.max_epoch=3"], None, "trainer.max_epochs"),
        (["fit", "--trainer.logger=CSVLoger"], None, "CSVLogger"),
        (["latents"], "data: {class_path: UnlabelledStates}", "LabelledLines"),
        (["benchmark"], "{name: x, variants: {a: {pretrain_arg: []}}}", "pretrain_args"),
        (["benchmark", "--seedz=[0]"], "name: x", "seeds"),
        (["benchmark"], "nam: x", "name"),
        (["sweep", "--trail=3"], None, "trials"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest_valid_one(arguments, yaml, meant, tmp_path, capsys):
    if yaml is not None:
        (tmp_path / "given.yaml").write_text(yaml)
        arguments = [*arguments, f"--config={tmp_path / 'given.yaml'}"]
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f"Did you mean '{meant}'?" in said
    assert said.startswith(f"pttrust {arguments[0]}: "), "the error comes first, not a page of options"
    assert f"All options: pttrust {arguments[0]} --help" in said


def test_nothing_is_suggested_where_nothing_is_near():
    message = "class_path 'pttrust_lightning.modules.ContrastivePretraining':\n  Option 'zzzzzz' is not accepted"
    assert suggestions(message, []) == []
    assert suggestions(message.replace("zzzzzz", "marginn"), []) == ["margin"]
    assert suggestions("the disk is full", []) == []


STATES = "data: {class_path: UnlabelledStates, init_args: {states: {line_rule: newlin}}}"


@pytest.mark.parametrize(
    ("arguments", "yaml", "said"),
    [
        (["extract"], STATES, "data.init_args.states.line_rule: 'newlin' is none of newline, last_code, mean"),
        (
            ["fit", *MODEL, "--model.contrastive=margn"],
            None,
            "model.init_args.contrastive: 'margn' is none of margin, ",
        ),
        (["fit", "--data=Unlabelled"], None, "data: 'Unlabelled' is no LightningDataModule"),
        (["benchmark"], "folds: five", "folds: expected int, got five"),
        (["extract"], "data:\n\tclass_path: x", "Problems parsing config"),
    ],
)
def test_an_error_is_one_line_that_names_file_and_option(arguments, yaml, said, tmp_path, capsys):
    at = ""
    if yaml is not None:
        (tmp_path / "given.yaml").write_text(yaml)
        arguments = [*arguments, f"--config={tmp_path / 'given.yaml'}"]
        at = f"{tmp_path / 'given.yaml'}: "
    with pytest.raises(SystemExit):
        main(arguments)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith(f"pttrust {arguments[0]}: {at}{said}")
    assert "Subtypes" not in "".join(rest)


def test_a_message_that_names_no_option_is_left_as_it_is():
    assert explained("the following arguments are required: data") == "the following arguments are required: data"
