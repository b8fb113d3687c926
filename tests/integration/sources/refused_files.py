"""Files that cannot become a source, and what is said of each."""

import gzip
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Refusal:
    """A file that cannot become a source, and what the sentence about it must say."""

    name: str
    content: bytes
    said: tuple[str, ...]
    key: str = field(default="")


BROKEN = "id,name\n1,a\n2,b\n3,c,d\n4,e\n"
REFUSALS = [
    Refusal("broken.csv", BROKEN.encode(), ("broken.csv, line 4", "3 values", "2 columns", "remove the lines")),
    Refusal("open.csv", b'id,name\n1,a\n2,"b\n3,c\n', ("open.csv", "quote")),
    Refusal("book.xlsx", b"PK\x03\x04" + b"\0" * 50, ("book.xlsx", "Save the sheet as CSV")),
    Refusal("array.json", b'[{"id": 1}]', ("array.json", "jq -c '.[]'")),
    Refusal("page.csv", b"<!DOCTYPE html>\n<html><body>a,b</body></html>\n", ("page.csv", "HTML", "Download")),
    Refusal("empty.csv", b"", ("empty.csv", "it is empty")),
    Refusal("mixed.csv", b"id,name\n1,caf\xc3\xa9\n2,caf\xe9\n", ("mixed.csv, line 3", "two encodings", "as UTF-8")),
    Refusal("sentences.csv", b"text\nhello, world\nbye, world\n", ("sentences.csv, line 2", "2 values", "1 column")),
    Refusal("zero.csv", b"id,name\n1,a\n2,b\0c\n", ("zero.csv, line 3", "a zero byte", "Export the file again")),
    Refusal("packed.csv", gzip.compress(b"a,b\n1,2\n"), ("packed.csv", "gzip", "Rename it to packed.csv.gz")),
    Refusal("header.csv", b"a,b\n", ("header.csv", "no row")),
    Refusal("cut.csv.gz", gzip.compress(str(list(range(9999))).encode())[:-900], ("cut.csv.gz", "Export or")),
    Refusal("lines.jsonl", b'{"a": 1}\n{"a": \n', ("lines.jsonl, line 2", "jq")),
    Refusal("cut.parquet", b"PAR1" + b"x" * 40, ("cut.parquet", "Export or download it again")),
    Refusal("twice.csv", b"id,name\n1,a\n1,b\n", ("KEY=id is not unique", "1 occurs 2 times"), key="id"),
    Refusal("keys.csv", b"id,name\n1,a\n,b\n", ("KEY=id", "without a value", "1 rows"), key="id"),
    Refusal("other.csv", b"id,name\n1,a\n2,b\n", ("KEY names nr", "id, name"), key="nr"),
]  # fmt: skip
