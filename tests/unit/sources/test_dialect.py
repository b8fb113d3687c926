"""What is found out of a file of text before it is read."""

from pathlib import Path

import pytest

from commands.sources.dialect import dialect_of

RUSSIAN = "код;город\n" + "".join(f"{at};Нижний Новгород, улица {at}\n" for at in range(40))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(RUSSIAN, "cp1251"), ("nr;straße\n1;größer\n", "cp1252"), ("nr;ort\n1;Köln\n", "utf-16")],
)
def test_an_encoding_is_told_and_a_guess_is_called_one(text: str, encoding: str, tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_bytes(text.encode(encoding))
    found = dialect_of(file, tmp_path)
    assert found.format["encoding"] == encoding
    assert any("a guess" in note for note in found.notes) == (encoding != "utf-16")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b\n1,2\n", {}),
        ("a;b\n1;2,5\n3;4,5\n", {"delimiter": ";"}),
        ("sep=|\na|b\n1|2\n", {"delimiter": "|", "skip_rows_before_header": 1}),
        ("a,b\n1,2\n1,2,3\n4,5\n", {}),
        ("about\na,b\n1,2\n3,4\n", {"skip_rows_before_header": 1}),
        ("a:b\n1:2\n", {"delimiter": ":"}),
    ],
)
def test_a_dialect_is_what_differs_from_the_usual_one(text: str, found: object, tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_text(text)
    assert dialect_of(file, tmp_path).format == found
