"""Tables as people have them: how they are written, and what training on them says or refuses."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["TABLES", "TableCase"]

ROWS = 60
Row = list[object]


@dataclass(frozen=True)
class TableCase:
    """A file, the options of `chainrule train`, and what it says: all of `said`, or an error with all of `refused`.

    `used`: what some columns are used as.
    """

    content: bytes
    options: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    suffix: str = ".csv"
    target: str = "y"
    stdin: bool = False


def flats(rows: int = ROWS, seed: int = 0) -> list[Row]:
    """Size, rooms, heating and whether it was sold."""
    draw = random.Random(seed)
    table: list[Row] = []
    for _ in range(rows):
        size, rooms = round(draw.uniform(20, 180), 1), draw.randint(1, 6)
        heating = draw.choice(["gas", "oil", "coal"])
        table.append([size, rooms, heating, "yes" if size + 10 * (heating == "gas") > 90 else "no"])
    return table


HEAD = ["size", "rooms", "heating", "y"]


def write(rows: Sequence[Sequence[object]], head: Sequence[str] | None = HEAD, mark: str = ",", end: str = "\n") -> str:
    """Text of these rows; fields are quoted where they have to be."""
    lines = [] if head is None else [list(head)]
    return "".join(mark.join(_field(value, mark) for value in row) + end for row in [*lines, *rows])


def _field(value: object, mark: str) -> str:
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in (mark, '"', "\n", "\r")) else text


def case(text: str | bytes, *options: str, encoding: str = "utf-8", **more: object) -> TableCase:
    """A case of this text."""
    return TableCase(text if isinstance(text, bytes) else text.encode(encoding), options, **more)  # type: ignore[arg-type]


def with_column(name: str, make: Callable[[int, Row], object], rows: int = ROWS) -> str:
    """The flats with another column before the target."""
    table = [[*row[:-1], make(i, row), row[-1]] for i, row in enumerate(flats(rows))]
    return write(table, [*HEAD[:-1], name, "y"])


def with_target(make: Callable[[int, Row], object], rows: int = ROWS) -> str:
    """The flats with another target."""
    return write([[*row[:-1], make(i, row)] for i, row in enumerate(flats(rows))])


def german(value: object) -> str:
    """A number with a decimal comma."""
    return str(value).replace(".", ",")


def zipped(name: str, content: str) -> bytes:
    """A zip of one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def arrow(kind: str) -> bytes:
    """The flats as Parquet or Feather."""
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as parquet

    table = pa.table({name: list(column) for name, column in zip(HEAD, zip(*flats(), strict=True), strict=True)})
    out = io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, out)
    else:
        feather.write_feather(table, out, compression="uncompressed")
    return out.getvalue()


PLAIN = write(flats())
_IDS = [
    f"{random.Random(i).randrange(1000, 9999)}-{''.join(random.Random(i).sample('ABCDEFGH', 5))}" for i in range(ROWS)
]
_REASONS = ["too small", "too dear, really", 'a "good" one', "second\nline", "far away"]

TABLES: dict[str, TableCase] = {
    # How a file is written.
    "plain": case(PLAIN, said=("60 rows, 4 columns", "3: coal, gas, oil", "2 classes: no, yes")),
    "semicolons": case(PLAIN.replace(",", ";"), said=("delimiter ';'",)),
    "tabs": case(PLAIN.replace(",", "\t"), suffix=".tsv", said=("delimiter tabs",)),
    "tabs, told": case(PLAIN.replace(",", "\t"), "--delimiter", "tab", suffix=".tsv"),
    "bars": case(PLAIN.replace(",", "|"), said=("delimiter '|'",)),
    "blanks": case(
        "size  rooms y\n" + "".join(f"{r[0]:6}  {r[1]}  {r[3]}\n" for r in flats()), said=("delimiter blanks",)
    ),
    "german numbers": case(
        write([[german(r[0]), r[1], r[2], german(f"{100 * r[0]:,.2f}".replace(",", ""))] for r in flats()], mark=";"),
        said=("delimiter ';'", "decimal ','", "RMSE"),
    ),
    "german thousands": case(
        write([[german(r[0]), r[1], f"{1000 + int(10 * r[0]):,}".replace(",", "."), r[3]] for r in flats()], mark=";"),
        said=("decimal ','",),
        used=(("heating", "number"),),
    ),
    "thousands": case(with_column("rent", lambda i, row: f"{1000 + 17 * i:,}"), said=("thousands ','",)),
    "currency": case(
        with_column("rent", lambda i, row: f"${1000 + 17 * i:,}"), used=(("rent", "number"),), said=("'$'",)
    ),
    "euros behind": case(with_column("rent", lambda i, row: f"{800 + i} €"), used=(("rent", "number"),), said=("'€'",)),
    "per cent": case(with_column("tax", lambda i, row: f"{i % 17 + 0.5}%"), used=(("tax", "number"),), said=("'%'",)),
    "latin-1": case(PLAIN.replace("coal", "Öl"), encoding="latin-1", refused=("not UTF-8", "--encoding latin-1")),
    "latin-1, told": case(PLAIN.replace("coal", "Öl"), "--encoding", "latin-1", encoding="latin-1", said=("Öl",)),
    "utf-8 with a mark": case(PLAIN, encoding="utf-8-sig", used=(("size", "number"),)),
    "utf-16": case(PLAIN.replace("coal", "Öl"), encoding="utf-16", said=("Öl",)),
    "crlf": case(write(flats(), end="\r\n")),
    "cr": case(write(flats(), end="\r")),
    "quoted line ends": case(with_column("reason", lambda i, row: _REASONS[i % 5]), used=(("reason", "category"),)),
    "comments": case("# made by hand\n# 2024\n" + PLAIN, said=("lines 1 to 2: comments",)),
    "comments inside": case(PLAIN.replace("\n", "\n# a remark, with a comma\n", 5), refused=("fields", "comment")),
    "comments inside, told": case(PLAIN.replace("\n", "\n# a remark\n", 5), "--comment", "#"),
    "gzip": case(gzip.compress(PLAIN.encode(), mtime=0), suffix=".csv.gz"),
    "zip": case(zipped("flats.csv", PLAIN), suffix=".zip"),
    "parquet": case(arrow("parquet"), suffix=".parquet"),
    "feather": case(arrow("feather"), suffix=".feather"),
    "standard input": case(PLAIN, stdin=True, said=("standard input: 60 rows",)),
    "a delimiter at the end": case(PLAIN.replace("\n", ",\n"), said=("no name and no values",)),
    "row numbers": case(write([[i, *row] for i, row in enumerate(flats())], ["", *HEAD]), said=("row numbers",)),
    "row names": case(write([[f"flat {i}", *row] for i, row in enumerate(flats())], HEAD), said=("row names",)),
    "no header": case(write(flats(), None), target="4", used=(("1", "number"),)),
    "a header of years": case(
        write([[r[0], r[1], r[1], r[3]] for r in flats()], ["2019", "2020", "2021", "y"]), used=(("2019", "number"),)
    ),
    "a header of numbers": case(
        write([[r[0], r[1], 2 * r[1], i % 2] for i, r in enumerate(flats())], ["0", "1", "2", "3"]),
        target="3",
        said=("read as names",),
    ),
    "one name twice": case(PLAIN.replace("rooms", "size", 1), refused=("duplicate column name 'size'",)),
    # What columns hold.
    "dates": case(
        with_column("built", lambda i, row: f"20{i % 20:02d}-{i % 12 + 1:02d}-{i % 28 + 1:02d}"),
        used=(("built", "date"),),
    ),
    "german dates": case(
        with_column("built", lambda i, row: f"{i % 28 + 1}.{i % 12 + 1}.{1990 + i % 30}"), used=(("built", "date"),)
    ),
    "dates with times": case(
        with_column("seen", lambda i, row: f"2024/{i % 12 + 1:02d}/{i % 28 + 1:02d} {i % 24:02d}:05"),
        used=(("seen", "date"),),
    ),
    "an id of texts": case(with_column("customer", lambda i, row: _IDS[i]), said=("texts that are all different",)),
    "an id of numbers": case(
        with_column("customer_id", lambda i, row: 7 * i % 61 + 4000), said=("called an identifier",)
    ),
    "running numbers": case(with_column("case", lambda i, row: i + 1), said=("counts the rows",)),
    "huge integers": case(
        with_column("account", lambda i, row: 9_007_199_254_740_993 + 77 * i), used=(("account", "number"),)
    ),
    "zip codes": case(
        with_column("zip", lambda i, row: ["02134", "10001", "00501"][i % 3]),
        used=(("zip", "category"),),
        said=("leading zeros",),
    ),
    "yes and no": case(with_column("garden", lambda i, row: ["yes", "no"][i % 2]), used=(("garden", "category"),)),
    "true and false": case(
        with_column("garden", lambda i, row: ["True", "FALSE", "true"][i % 3]), used=(("garden", "boolean"),)
    ),
    "missing, all spellings": case(
        with_column("age", lambda i, row: ["", "NaN", "nan", "null", "None", "N/A", ".", "-", "?", "NA", i, i][i % 12]),
        used=(("age", "number"),),
    ),
    "missing, another word": case(
        with_column("age", lambda i, row: "unknown" if i % 9 == 4 else i),
        refused=("'unknown' is not a number", "--missing"),
    ),
    "missing, another word, told": case(
        with_column("age", lambda i, row: "unknown" if i % 9 == 4 else i),
        "--missing",
        "unknown",
        used=(("age", "number"),),
    ),
    "a constant": case(with_column("country", lambda i, row: "de"), said=("always 'de'",)),
    "no values": case(with_column("remark", lambda i, row: ""), said=("no values; left out",)),
    "many texts": case(
        with_column("street", lambda i, row: f"{['North', 'South', 'East', 'West'][i % 4]} {i % 140 // 4}", 300),
        said=("different texts",),
    ),
    "numbers and texts": case(
        with_column("doors", lambda i, row: ["2", "3", "4", "5more"][i % 4]), used=(("doors", "category"),)
    ),
    "numbers and a few texts": case(
        with_column("rent", lambda i, row: "free" if i == 7 else 100 + i),
        refused=("line 9", "'free' is not a number", "--missing", "--categories"),
    ),
    "two mistakes": case(
        with_column("rent", lambda i, row: "free" if i == 7 else 100 + i) + "1,2\n",
        refused=("2 problems", "line 9", "line 62", "2 fields"),
    ),
    "more columns than rows": case(
        write(
            [[*(i * k % 7 for k in range(1, 2001)), row[3]] for i, row in enumerate(flats(20))],
            [*(f"v{k}" for k in range(2000)), "y"],
        )
    ),
    # Targets.
    "missing targets": case(
        with_target(lambda i, row: ["", "NA", row[3], row[3]][i % 4]),
        said=("30 of 60 rows have a missing target", "left out"),
    ),
    "missing numbers to predict": case(
        with_target(lambda i, row: "NA" if i % 7 == 3 else row[0]), said=("missing target", "RMSE")
    ),
    "no target": case(with_target(lambda i, row: ""), refused=("no row has a target",)),
    "one class": case(with_target(lambda i, row: "yes"), refused=("only one value, 'yes'",)),
    "one row of a class": case(with_target(lambda i, row: "rare" if i == 5 else row[3]), said=("3 classes",)),
    "one in a hundred": case(
        with_target(lambda i, row: int(i % 100 == 50), 400), said=("2 classes: 0, 1", "balanced accuracy")
    ),
    "two rows of each class": case(
        with_target(lambda i, row: f"k{i % 30}"), said=("30 classes", "too small to hold out")
    ),
    "many classes": case(with_target(lambda i, row: f"k{i % 150}", 600), said=("150 classes",)),
    "as many classes as rows": case(with_target(lambda i, row: _IDS[i]), refused=("every row has another text",)),
    "zip codes to predict": case(with_target(lambda i, row: ["02134", "10001"][i % 2]), said=("02134, 10001",)),
    "booleans to predict": case(with_target(lambda i, row: i % 3 == 0), said=("2 classes: False, True",)),
    "amounts to predict": case(with_target(lambda i, row: f"${1000 + 10 * row[0]:,.2f}"), said=("RMSE",)),
    "a date to predict": case(
        with_target(lambda i, row: f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}"), refused=("dates are no target",)
    ),
    "an unknown target": case(PLAIN, target="Y ", refused=("unknown target column 'Y '", "did you mean 'y'")),
    # Sizes.
    "five rows": case(write(flats(5)), said=("5 rows",)),
    "two rows": case(
        write([[1, 2, "gas", "no"], [3, 4, "oil", "yes"]]), refused=("2 rows cannot be parted", "--holdout")
    ),
    "one row": case(write(flats(1)), refused=("only one value",)),
    "only a header": case(write([]), refused=("no data",)),
    "nothing": case("", refused=("the file is empty",)),
    "only the target": case(write([[row[3]] for row in flats()], ["y"]), refused=("no column to predict",)),
}
