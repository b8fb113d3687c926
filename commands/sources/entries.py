"""Adds and removes list entries in a person's YAML as text, so that no other line of the file changes."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from blocks.errors import PlatformError

Step = str | Mapping[str, Any]
"""One step into a document: a key of a mapping, or the keys and values of a list's entry."""


class NotEditable(PlatformError):
    """The YAML has a shape that this module cannot change. The message says what to add by hand."""


class _Dumper(yaml.SafeDumper):
    """Quotes text that starts like a number, since some readers would parse it as one, and escapes line ends."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if re.search("[\n\x85\u2028\u2029]", text) else "'" if re.match("[-+.]?[0-9]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def flow(value: object) -> str:
    """Return a value as YAML on one line."""
    text = yaml.dump([value], Dumper=_Dumper, default_flow_style=True, width=2**31, allow_unicode=True, sort_keys=False)
    return str(text)[1:-2]


def put(
    text: str, path: Sequence[Step], name: str, lines: Sequence[str], mark: str, *, even_unmarked: bool = False
) -> str:
    """Return the text with an entry in a list. It replaces the marked entry of that name, or is added at the end.

    Args:
        text: the document.
        path: steps to the list.
        name: the entry's `name`.
        lines: lines of the entry without indentation, the first without its `- `.
        mark: the comment above the entry that says who owns it.
        even_unmarked: replace an entry without the mark, too.

    Raises:
        NotEditable: the list does not exist, or is written on one line.
    """
    found, block = _list(text, path), text.splitlines(keepends=True)
    _check_lines(found, path)
    span = _span(block, found, name, mark)
    if span and not span[2] and not even_unmarked:
        return text
    indent = _indent(block, found)
    entry = [f"{' ' * indent}{line}\n" for line in (mark, f"- {lines[0]}", *(f"  {line}" for line in lines[1:]))]
    if span:
        return "".join([*block[: span[0]], *entry, *block[span[1] :]])
    if not found.value:
        at = found.start_mark.line
        block[at] = block[at].replace("[]", "", 1).rstrip() + "\n"
        return "".join([*block[: at + 1], *entry, *block[at + 1 :]])
    end = _end(block, found.value[-1].start_mark.line, indent)
    if not block[end - 1].endswith("\n"):
        block[end - 1] += "\n"
    return "".join([*block[:end], *entry, *block[end:]])


def remove(text: str, path: Sequence[Step], name: str, mark: str, *, even_unmarked: bool = False) -> str:
    """Return the text without a marked entry. With `even_unmarked`, an entry without the mark is removed, too."""
    block, found = text.splitlines(keepends=True), _list(text, path)
    span = _span(block, found, name, mark)
    if not span or not (span[2] or even_unmarked):
        return text
    return "".join([*_emptied(block, span[0], len(found.value) == 1), *block[span[1] :]])


def names(text: str, path: Sequence[Step]) -> list[str]:
    """Return the names of a list's entries, in their order."""
    return [_text(entry, "name") or "" for entry in _list(text, path).value]


def select(text: str, path: Sequence[Step], kept: Callable[[str], bool]) -> str:
    """Return the text without the entries that are not kept, whoever owns them, and without the comments above them.

    Raises:
        NotEditable: the list does not exist, or is written on one line.
    """
    found, block = _list(text, path), text.splitlines(keepends=True)
    spans = _spans(block, found, path)
    is_removed = [not kept(_text(entry, "name") or "") for entry in found.value]
    if not any(is_removed):
        return text
    kept_lines = [
        line for span, removed in zip(spans, is_removed, strict=True) if not removed for line in block[slice(*span)]
    ]
    return "".join([*_emptied(block, spans[0][0], not kept_lines), *kept_lines, *block[spans[-1][1] :]])


def join(text: str, path: Sequence[Step], other: str) -> str:
    """Return the text with the entries of another document's list appended to its own list, with their comments.

    Raises:
        NotEditable: one of the lists does not exist, or is written on one line.
    """
    other_list, source = _list(other, path), other.splitlines(keepends=True)
    own_list, block = _list(text, path), text.splitlines(keepends=True)
    by = _indent(block, own_list) - _indent(source, other_list)
    lines = [_moved(line, by) for span in _spans(source, other_list, path) for line in source[slice(*span)]]
    if not own_list.value:
        at = own_list.start_mark.line
        block[at] = block[at].replace("[]", "", 1).rstrip() + "\n"
        return "".join([*block[: at + 1], *lines, *block[at + 1 :]])
    end = _spans(block, own_list, path)[-1][1]
    if not block[end - 1].endswith("\n"):
        block[end - 1] += "\n"
    return "".join([*block[:end], *lines, *block[end:]])


def is_own(text: str, path: Sequence[Step], name: str, mark: str) -> bool | None:
    """Return whether an entry is marked, or None if there is no such entry."""
    span = _span(text.splitlines(keepends=True), _list(text, path), name, mark)
    return span[2] if span else None


def _check_lines(found: yaml.SequenceNode, path: Sequence[Step]) -> None:
    if found.flow_style and found.value:
        where = " > ".join(map(str, path))
        raise NotEditable(
            f"The list {where} is written on one line. Write each entry on its own lines, then try again."
        )


def _spans(block: Sequence[str], found: yaml.SequenceNode, path: Sequence[Step]) -> list[tuple[int, int]]:
    """Return the first line of each entry, with the comments above it, and the line after its last."""
    if not found.value:
        return []
    _check_lines(found, path)
    indent = _indent(block, found)
    begin = found.value[0].start_mark.line
    while block[begin - 1].strip().startswith("#"):
        begin -= 1
    spans = list[tuple[int, int]]()
    for entry in found.value:
        end = _end(block, entry.start_mark.line, indent)
        spans.append((begin, end))
        begin = end
    return spans


def _emptied(block: Sequence[str], at: int, is_empty: bool) -> list[str]:
    """Return the lines before an entry. If the list is empty now, its own line ends with `[]`."""
    lines = list(block[:at])
    if is_empty:  # without `[]`, the value of the key would be null
        own = next(at for at in reversed(range(at)) if not re.match(r"\s*(#|$)", lines[at]))
        head, mark, comment = lines[own].rstrip().partition("#")
        lines[own] = f"{head.rstrip()} []{'  #' + comment if mark else ''}\n"
    return lines


def _moved(line: str, by: int) -> str:
    """Indent a line by more columns, or by fewer if `by` is negative."""
    return line if not line.strip() else " " * by + line if by >= 0 else line[-by:]


def _list(text: str, path: Sequence[Step]) -> yaml.SequenceNode:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in path:
        node = _step(node, step)
    if not isinstance(node, yaml.SequenceNode):
        raise NotEditable(f"The file has no list {' > '.join(map(str, path))}. Add it, then try again.")
    return node


def _step(node: yaml.Node | None, step: Step) -> yaml.Node | None:
    if isinstance(step, str):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        return next((value for key, value in pairs if key.value == step), None)
    entries = node.value if isinstance(node, yaml.SequenceNode) else []
    wanted = {key: str(value) for key, value in step.items()}
    return next((each for each in entries if all(_text(each, key) == value for key, value in wanted.items())), None)


def _text(entry: yaml.Node, key: str) -> str | None:
    pairs = entry.value if isinstance(entry, yaml.MappingNode) else []
    return next((str(value.value) for name, value in pairs if name.value == key), None)


def _span(block: Sequence[str], found: yaml.SequenceNode, name: str, mark: str) -> tuple[int, int, bool] | None:
    """Return the first line of an entry with its mark, the line after its last, and whether it is marked."""
    entry = _step(found, {"name": name})
    if entry is None:
        return None
    first = above = entry.start_mark.line
    while above > 0 and block[above - 1].strip().startswith("#") and block[above].strip() != mark:
        above -= 1
    marked = block[above].strip() == mark
    return above if marked else first, _end(block, first, _indent(block, found)), marked


def _indent(block: Sequence[str], found: yaml.SequenceNode) -> int:
    """Return the column of the list's dashes."""
    if found.value:
        line = block[found.value[0].start_mark.line]
        return len(line) - len(line.lstrip())
    line = block[found.start_mark.line]
    return len(line) - len(line.lstrip()) + 2


def _end(block: Sequence[str], first: int, indent: int) -> int:
    """Return the line after an entry's last. Comments and empty lines above the next entry belong to that entry."""
    end = first + 1
    for at in range(first + 1, len(block)):
        content = block[at].strip()
        depth = len(block[at]) - len(block[at].lstrip())
        if content and not content.startswith("#"):
            if depth <= indent:
                break
            end = at + 1
    return end
