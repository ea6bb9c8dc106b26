"""XML files of any size, plain or gzipped, element by element, with messages that name the element or the line.

Only the wanted elements are ever in memory. External entities are not followed, and the parser itself (expat, 2.4.1 or later)
ends an avalanche of entities.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Iterator
from io import BufferedReader
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from sim.errors import InputError
from sim.network.tntp_text import number, shown

_GZIP_MAGIC = b"\x1f\x8b"


def elements(path: Path, wanted: Collection[str], *, root: Collection[str], openings: Collection[str] = ()) -> Iterator[Element]:
    """Yield the wanted elements with all that is inside them, in the order of their ends.

    Parameters
    ----------
    root
        Names that the outermost element may have, which say what kind of file it is.
    openings
        Elements that are yielded where they open, with their attributes and nothing inside.

    Raises
    ------
    InputError
        The file is missing, is broken or no XML, or is of another kind.
    """
    try:
        with _opened(path) as file:
            yield from _elements(file, path, frozenset(wanted), root, frozenset(openings))
    except FileNotFoundError:
        raise InputError("no such file", source=path) from None
    except ElementTree.ParseError as error:
        line, column = error.position
        problem = f"is no whole XML: {str(error).partition(':')[0]}"
        raise InputError(problem, source=path, where=f"line {line}, column {column + 1}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"is not a whole gzip file: {error}", source=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None
    except (UnicodeDecodeError, LookupError, ValueError) as error:
        raise InputError(f"is no XML in a known encoding: {error}", source=path) from None


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if packed or path.suffix.lower() == ".gz" else path.open("rb")


def _elements(
    file: gzip.GzipFile | BufferedReader, path: Path, wanted: frozenset[str], root: Collection[str], openings: frozenset[str]
) -> Iterator[Element]:
    above: list[Element] = []
    inside = 0
    for event, element in ElementTree.iterparse(file, events=("start", "end")):
        if event == "start":
            if not above and element.tag not in root:
                allowed = " or ".join(f"<{name}>" for name in root)
                raise InputError(f"its outermost element is <{element.tag}>", source=path, allowed=allowed)
            if element.tag in openings:
                yield element
            above.append(element)
            inside += element.tag in wanted
            continue
        above.pop()
        if element.tag in wanted:
            inside -= 1
            yield element
        if not inside and above:
            # What was read is forgotten, or the whole file would stay in memory.
            del above[-1][:]


def attribute(element: Element, name: str, path: Path) -> str:
    """Return an attribute; InputError that names the element where it is missing."""
    value = element.get(name)
    if value is None:
        raise InputError(f"{name} is missing", source=path, where=place_of(element), allowed=f'{name}="..."')
    return value


def number_of(
    element: Element, name: str, path: Path, *, missing: float | None = None, at_least: float = 0.0, above: float | None = None
) -> float:
    """Return an attribute as a finite number; InputError that names the element where it is none or below its bound.

    Parameters
    ----------
    missing
        What a missing attribute becomes; None does not allow that.
    """
    if missing is not None and element.get(name) is None:
        return missing
    value = number(attribute(element, name, path))
    if value is None or value < at_least or (above is not None and value <= above):
        bound = f"above {above:g}" if above is not None else f"{at_least:g} or above"
        allowed = "a finite number" if at_least == float("-inf") else f"a finite number, {bound}"
        raise InputError(f"{name} is {shown(element.get(name) or '')}", source=path, where=place_of(element), allowed=allowed)
    return value


def place_of(element: Element) -> str:
    """Return how a message names an element."""
    identity = element.get("id")
    return f"<{element.tag}>" if identity is None else f"<{element.tag} id={identity!r}>"
