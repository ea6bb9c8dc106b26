"""The bytes of an input file, plain or gzipped, with one clear message for everything that can be wrong with the file itself."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from sim.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"


def read_source_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked where its name ends in .gz or it starts like a gzip stream.

    Raises
    ------
    InputError
        The file is missing, empty, no file at all, may not be read, or is a broken or cut gzip stream.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", source=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=path) from None
    if path.suffix.lower() == ".gz" or content.startswith(_GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"is not a whole gzip file: {error}", source=path) from None
    if not content:
        raise InputError("the file is empty", source=path)
    return content


def read_source_lines(path: Path) -> tuple[list[str], bool]:
    """Return the lines of a text file (line n at position n - 1) and whether its last line was ended by a line break.

    Bytes that are not UTF-8 become replacement characters: old files carry names of streets in other encodings inside comments,
    and a number never survives the replacement.

    Raises
    ------
    InputError
        As `read_source_bytes`, or the content is binary.
    """
    content = read_source_bytes(path)
    if b"\0" in content:
        raise InputError("is not a text file", source=path, where=f"byte {content.index(0)}")
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    ended = lines[-1] == ""
    return (lines[:-1] if ended else lines), ended
