"""Nearly valid JSON documents: a valid one with some values exchanged, left out or repeated."""

import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.fuzzing.choices import Choices
from tests.fuzzing.texts import address, framework, moment, odd_text, package_id, version, version_range

# Values nested too deeply to be handled here are only written as such.
_DEEP: Final = re.compile(rb'"deep ([0-9]+)"')

# Characters. Otherwise values that are repeated again and again would take all the time.
_MOST_REPEATED: Final = 2_000_000

_FITTING: Final[dict[str, Callable[[Choices], Any]]] = {
    "@id": address,
    "id": package_id,
    "version": version,
    "versions": version_range,
    "lower": version,
    "upper": version,
    "range": version_range,
    "targetFramework": framework,
    "published": moment,
    "commitTimeStamp": moment,
    "@updated": moment,
    "iconUrl": address,
    "licenseUrl": address,
    "projectUrl": address,
    "packageContent": address,
    "url": address,
}
"""Values for fields of these names."""


def odd_value(choices: Choices) -> Any:
    match choices.below(9):
        case 0:
            return None
        case 1:
            return choices.one_of((True, False))
        case 2:
            return choices.number() * choices.one_of((1, -1))
        case 3:
            return choices.one_of((0.0, -0.0, 0.5, 1e300, -1e-300, 1e16))
        case 4:
            return odd_text(choices)
        case 5:
            return []
        case 6:
            return {}
        case 7:
            return [odd_value(choices) for _ in range(choices.below(4))]
    return f"deep {choices.one_of((1, 3, 60, 64, 65, 190, 250, 254, 260, 1_000, 1_023, 100_000))}"


def changed_document(choices: Choices, document: Any, most: int = 4) -> Any:
    """A copy with up to this many changes."""
    changed = copy.deepcopy(document)
    for _ in range(choices.below(most + 1)):
        changed = _changed_once(choices, changed)
    return changed


def document_bytes(choices: Choices, documents: Sequence[Any], most: int = 4) -> bytes:
    """One of the documents with some changes, as bytes that sometimes are no longer JSON."""
    document = changed_document(choices, choices.one_of(documents), most)
    written = json.dumps(document, ensure_ascii=choices.one_of((False, True))).encode("utf-8")
    written = _DEEP.sub(lambda found: _nested(int(found[1])), written)
    match choices.below(12):
        case 0:
            return choices.edited(written, 3)
        case 1:
            return b"\xef\xbb\xbf" + written
        case 2:
            return choices.raw(40)
    return written


def _changed_once(choices: Choices, root: Any) -> Any:
    places = _places(root)
    if not places or choices.chance(20):
        return odd_value(choices)
    holder, key = places[choices.below(len(places))]
    match choices.below(7):
        case 0:
            del holder[key]
        case 1 | 2:
            holder[key] = odd_value(choices)
        case 3 | 4:
            make = _FITTING.get(str(key), odd_value)
            holder[key] = make(choices)
        case 5:
            if isinstance(holder, list):
                size, times = len(json.dumps(holder[key])), choices.one_of((1, 2, 70, 300))
                holder += [copy.deepcopy(holder[key]) for _ in range(min(times, _MOST_REPEATED // size))]
            else:
                holder[choices.one_of((str(key).upper(), "items", "@id", "@context", ""))] = copy.deepcopy(holder[key])
        case _:
            other, other_key = places[choices.below(len(places))]
            holder[key] = copy.deepcopy(other[other_key]) if _has(other, other_key) else None
    return root


def _nested(depth: int) -> bytes:
    return b'[{"a":' * (depth // 2) + b"1" + b"}]" * (depth // 2)


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _places(root: Any) -> list[tuple[Any, Any]]:
    """The location of every value, with its container. Deeply nested ones are left out, because we created them."""
    found: list[tuple[Any, Any]] = []
    waiting = [root]
    while waiting and len(found) < 3_000:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found
