"""An entry is put into a person's YAML and taken out of it; every other line stays as it was."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from commands.sources.entries import NotEditable, flow, is_own, join, names, put, remove, select

MARK = "# generated"
PERSONS = """\
# A comment.
sources:
    - name: raw   # not indented as others do it
      config: &daily {a: 1}
      description: >
        Folded
        text.
      tables:
      - name: flights
        config: *daily
        # the last of them
        columns:
          - {name: "a", data_type: bigint}

      # about the next

      - {name: weather}
# about what follows
other: [1, 2]
"""
TABLES = ["sources", {"name": "raw"}, "tables"]
LINES = ["name: orders", "columns:", "  - {name: id}"]


def test_every_other_line_stays_and_taking_it_out_leaves_the_file_as_it_was() -> None:
    text = put(PERSONS, TABLES, "orders", LINES, MARK)
    added = ["      # generated", "      - name: orders", "        columns:", "          - {name: id}"]
    lines = text.splitlines()
    at = lines.index("      - {name: weather}") + 1
    assert lines[at : at + len(added)] == added
    assert lines[:at] + lines[at + len(added) :] == PERSONS.splitlines()
    assert yaml.safe_load(text)["sources"][0]["tables"][2] == {"name": "orders", "columns": [{"name": "id"}]}
    assert put(text, TABLES, "orders", LINES, MARK) == text
    assert remove(text, TABLES, "orders", MARK) == PERSONS


def test_a_marked_entry_is_replaced_where_it_stands() -> None:
    text = put(put(PERSONS, TABLES, "orders", LINES, MARK), TABLES, "items", ["name: items"], MARK)
    changed = put(text, TABLES, "orders", ["name: orders", "key: 1"], MARK)
    assert yaml.safe_load(changed)["sources"][0]["tables"][2:] == [{"name": "orders", "key": 1}, {"name": "items"}]


def test_an_entry_without_the_mark_is_a_persons_and_stays() -> None:
    assert is_own(PERSONS, TABLES, "flights", MARK) is False
    assert is_own(PERSONS, TABLES, "nothing", MARK) is None
    assert put(PERSONS, TABLES, "flights", ["name: flights"], MARK) == PERSONS
    assert remove(PERSONS, TABLES, "flights", MARK) == PERSONS
    taken_over = put(PERSONS, TABLES, "orders", LINES, MARK).replace("      # generated\n", "")
    assert put(taken_over, TABLES, "orders", ["name: orders"], MARK) == taken_over


@pytest.mark.parametrize(
    "text", ["a:\n  b: []\n", "a:\n  b: []  # none yet\nc: 1\n", "a: {}\nb: 1\n", "a:\n  b: [1]\n"]
)
def test_a_list_may_be_empty_and_one_in_one_line_is_refused(text: str) -> None:
    if "b: []" in text:
        changed = put(text, ["a", "b"], "x", ["name: x"], MARK)
        assert yaml.safe_load(changed)["a"]["b"] == [{"name": "x"}]
    else:
        with pytest.raises(NotEditable):
            put(text, ["a", "b"], "x", ["name: x"], MARK)


def test_a_file_may_lack_its_last_line_end() -> None:
    assert yaml.safe_load(put("a:\n- name: x", ["a"], "y", ["name: y"], MARK)) == {"a": [{"name": "x"}, {"name": "y"}]}


@given(st.text(max_size=20))
@example("\n")
@example("\x85\u2028")
def test_any_text_is_one_line_of_yaml_that_reads_as_itself(text: str) -> None:
    if yaml_takes(text):
        assert "\n" not in flow({"a": text})
        assert yaml.safe_load(flow({"a": text})) == {"a": text}


def yaml_takes(text: str) -> bool:
    """Whether PyYAML reads what it has written of a text: it does not for a few signs of other planes."""
    try:
        return bool(yaml.safe_load(yaml.safe_dump({"a": text}, allow_unicode=True)) == {"a": text})
    except yaml.YAMLError:
        return False


@pytest.mark.parametrize("before", ["a:\n  b: []\nc: 1\n", "a:\n  b: []  # none yet\n", "a:\n  b:  []\n"])
def test_a_list_whose_last_entry_is_taken_out_is_empty_again(before: str) -> None:
    text = put(before, ["a", "b"], "x", ["name: x"], MARK)
    after = remove(text, ["a", "b"], "x", MARK)
    assert yaml.safe_load(after) == yaml.safe_load(before)
    assert after == before.replace("b:  []", "b: []")


def test_entries_are_parted_with_the_comments_above_them_and_joined_again() -> None:
    persons = select(PERSONS, TABLES, lambda name: name == "weather")
    assert names(persons, TABLES) == ["weather"]
    assert "# about the next" in persons
    assert "# the last of them" not in persons
    others = select(PERSONS, TABLES, lambda name: name == "flights")
    assert "# about the next" not in others
    assert yaml.safe_load(join(others, TABLES, persons)) == yaml.safe_load(PERSONS)
    none = select(PERSONS, TABLES, lambda name: False)
    assert yaml.safe_load(none)["sources"][0]["tables"] == []
    assert none.endswith("# about what follows\nother: [1, 2]\n")
    assert yaml.safe_load(join(join(none, TABLES, others), TABLES, persons)) == yaml.safe_load(PERSONS)


def test_entries_are_indented_as_those_that_they_join() -> None:
    assert join("a:\n    - name: x\n", ["a"], "a:\n- name: y\n  # why\n  b:\n  - 1\n") == (
        "a:\n    - name: x\n    - name: y\n      # why\n      b:\n      - 1\n"
    )
