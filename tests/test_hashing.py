import pytest

from pttrust_lightning.hashing import hash64, remembered


def test_a_hash_is_the_same_in_every_run():
    assert hash64("a") == 4681665781835383343


def test_a_remembered_function_is_asked_once_for_the_same_texts():
    asked = []

    @remembered
    def lengths(*texts):
        asked.append(texts)
        return [None if text is None else len(text) for text in texts]

    assert lengths("ab", "c", None) == lengths("ab", "c", None) == [2, 1, None]
    assert lengths("a", "bc", None) == [1, 2, None], "texts that say the same once they are joined differ"
    assert lengths("ab", "c", "") == [2, 1, 0]
    assert lengths("\ud800") == [1], "lone surrogates are texts too"
    assert asked == [("ab", "c", None), ("a", "bc", None), ("ab", "c", ""), ("\ud800",)]


def test_what_a_function_raises_is_not_remembered():
    @remembered
    def fails(text):
        raise ValueError(text)

    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            fails("x")
