"""The text of a CSV file in UTF-8, whatever it was saved in: CP932 and UTF-16 are read, too.

CP932 is what Excel in Japan saves as "CSV". It is taken for it where the whole file is valid and
nearly all its letters are kana, frequent kanji or full-width signs, half-width kana beside them;
Latin-1 read so gives rare kanji, capital Cyrillic half-width kana alone. Both are refused: no
program can tell which of their many relatives they are.
"""

import codecs
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from service.tables import TableError

START_BYTES, CHUNK_BYTES = 4096, 1 << 20
FREQUENT_SHARE = 0.8  # of the letters beyond ASCII
AS_CSV = "in Excel choose File > Save As and the type 'CSV UTF-8 (Comma delimited)'"
AS_UTF8 = f"save it as UTF-8 ({AS_CSV})"

_KINDS = {
    b"\xd0\xcf\x11\xe0": f"this is an Excel workbook, no CSV file: {AS_CSV}, for one sheet",
    b"\x1f\x8b": "the file is compressed: unpack it first",
    b"%PDF": "this is a PDF, no table: ask for the data as CSV",
}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Text(NamedTuple):
    """A file in UTF-8, and what it was saved in if in something else."""

    path: Path
    encoding: str  # empty: UTF-8


def start_of(path: Path) -> bytes:
    """Return the first bytes of a file; refuse one that is empty or plainly no table."""
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    except OSError as error:
        raise TableError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if len(start) < START_BYTES and not start.removeprefix(codecs.BOM_UTF8).strip():
        raise TableError(f"{path}: the file is empty: save the table again")
    for magic, sentence in _KINDS.items():
        if start.startswith(magic):
            raise TableError(f"{path}: {sentence}")
    if start.startswith(b"PK\x03\x04"):
        raise TableError(f"{path}: {_archive(path)}")
    if b"\0" in start and not start.startswith((b"PAR1", *_UTF_16)):
        raise TableError(f"{path}: this is no text: {AS_UTF8}")
    return start


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        names = []
    if any(name.startswith("xl/") for name in names):
        return _KINDS[b"\xd0\xcf\x11\xe0"]
    if "content.xml" in names:
        return "this is a spreadsheet, no CSV file: save one sheet of it as CSV in UTF-8"
    return "this is a ZIP archive: unpack it first"


def as_utf8(path: Path, folder: Path) -> Text:
    """Return the file itself, or a copy of it in UTF-8 in a folder; refuse unknown encodings."""
    with path.open("rb") as file:
        is_utf_16 = file.read(2) in _UTF_16
    if is_utf_16:
        return _copied(path, folder, "utf-16", "UTF-16")
    line = _first_line_not_utf8(path)
    if line is None:
        return Text(path, "")
    if _is_cp932(path):
        return _copied(path, folder, "cp932", "CP932")
    where = f"line {line}: " if line > 1 else ""
    raise TableError(f"{path}: {where}the text is not UTF-8: {AS_UTF8}")


def _copied(path: Path, folder: Path, codec: str, name: str) -> Text:
    copy = folder / "utf8.csv"
    try:
        with (
            path.open(encoding=codec, newline="") as source,
            copy.open("w", encoding="utf-8", newline="") as target,
        ):
            shutil.copyfileobj(source, target, CHUNK_BYTES)
    except UnicodeError:
        raise TableError(f"{path}: the text is broken {name}: {AS_UTF8}") from None
    return Text(copy, name)


def _first_line_not_utf8(path: Path) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            kept = decoder.getstate()[0]  # the first bytes of a letter that the chunk goes on with
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return line + (kept + chunk)[: error.start].count(b"\n")
            if not chunk:
                return None
            line += chunk.count(b"\n")


def _is_cp932(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("cp932")()
    letters: Counter[str] = Counter()
    half_width = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                text = decoder.decode(chunk)
                letters.update(text)
                half_width += sum(map(len, re.findall(r"[｡-ﾟ]{2,}", text)))
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    foreign = {letter: count for letter, count in letters.items() if letter > "\x7f"}
    frequent = sum(count for letter, count in foreign.items() if _is_frequent(letter))
    return frequent > 0 and frequent + half_width >= FREQUENT_SHARE * sum(foreign.values())


def _is_frequent(letter: str) -> bool:
    """Whether a letter is a sign, a full-width one, kana or one of the 2,965 frequent kanji."""
    return "\x81" <= letter.encode("cp932").decode("latin-1")[0] <= "\x97"
