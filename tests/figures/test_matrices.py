import pytest
from matplotlib.colors import to_rgb

from pttrust_lightning.figures import DARK, LIGHT
from pttrust_lightning.figures.matrices import matrix
from pttrust_lightning.metrics.evaluation import Estimate

CELLS = {
    "java": {"java": Estimate(0.4, 0.3, 0.5), "c_plus": Estimate(-0.1, -0.2, 0.1)},
    "all": {"java": Estimate(0.05, -0.1, 0.2), "c_plus": Estimate(-0.3, -0.4, -0.2)},
}


def cells_of(figure):
    (axes,) = figure.axes
    return {(t.get_position()[::-1]): t for t in axes.texts}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda t: t.name)
def test_every_cell_says_its_number_and_those_apart_from_0_are_bold(theme):
    texts = cells_of(matrix(CELLS, "hit@1", theme, is_difference=True))
    shown = {place: (text.get_text(), text.get_fontweight()) for place, text in texts.items()}
    minus = "\N{MINUS SIGN}"
    assert shown == {
        (0, 0): ("+.40", "bold"), (0, 1): (f"{minus}.10", "normal"),
        (1, 0): ("+.05", "normal"), (1, 1): (f"{minus}.30", "bold"),
    }  # fmt: skip
    assert cells_of(matrix(CELLS, "hit@1", theme))[0, 0].get_text() == ".40"


def test_rows_and_columns_are_named_and_nothing_is_a_difference_unless_it_is():
    (axes,) = matrix(CELLS, "hit@1", LIGHT).axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["java", "c plus"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["java", "all"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("tested on", "trained on")
    assert not axes.get_title(loc="left").startswith("difference")
    assert all(t.get_fontweight() == "normal" for t in axes.texts)


@pytest.mark.parametrize(("metric", "better"), [("hit@1", LIGHT.palette[1]), ("ifa", LIGHT.palette[0])])
def test_the_best_difference_has_the_colour_of_better(metric, better):
    (axes,) = matrix({"a": {"a": Estimate(0.4, 0, 1), "b": Estimate(-0.4, -1, 0)}}, metric, LIGHT, True).axes
    (image,) = axes.images
    assert image.to_rgba(0.4)[:3] == pytest.approx(to_rgb(better), abs=0.01)


def test_numbers_are_legible_on_their_shades():
    """WCAG AA, large text: 3."""
    for theme in (LIGHT, DARK):
        (axes,) = matrix(CELLS, "hit@1", theme, is_difference=True).axes
        for text in axes.texts:
            x, y = text.get_position()
            shade = axes.images[0].to_rgba(axes.images[0].get_array()[int(y), int(x)])[:3]
            assert contrast(to_rgb(text.get_color()), shade) > 4.5


def contrast(a, b):
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_nothing_to_draw_is_refused():
    for cells in ({}, {"a": {}}, {"a": {"b": Estimate(0, 0, 0)}, "b": {"c": Estimate(0, 0, 0)}}):
        with pytest.raises(ValueError, match="nothing to draw, or rows have different columns"):
            matrix(cells, "hit@1", LIGHT)
