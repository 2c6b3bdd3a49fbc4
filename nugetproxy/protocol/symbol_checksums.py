"""The header SymbolChecksum: what a debugger knows of the PDB that it asks for.

`SHA256:<hex>[;SHA384:<hex>…]`, out of the debug directory of the assembly. Source: dotnet/symstore,
docs/specs/SSQP_Key_Conventions and Symbol server protocol.
"""

from collections.abc import Mapping


def write_symbol_checksums(digests: Mapping[str, bytes]) -> str:
    """Digests by the name of their algorithm, in the header's form."""
    return ";".join(f"{algorithm}:{digest.hex()}" for algorithm, digest in digests.items())


def agrees(wanted: str, known: str) -> bool:
    """Whether a file with the checksums `known` may be the one that the header `wanted` asks for.

    It is not when the header names algorithms that are known of the file and none of their digests is the file's.
    A header that is empty, unreadable or of other algorithms excludes nothing.
    """
    known_pairs = _pairs(known)
    algorithms = {algorithm for algorithm, _ in known_pairs}
    comparable = {(algorithm, digest) for algorithm, digest in _pairs(wanted) if algorithm in algorithms}
    return not comparable or bool(comparable & known_pairs)


def _pairs(text: str) -> set[tuple[str, str]]:
    """Algorithm in upper case, digest in lower case."""
    parts = (item.partition(":") for item in text.split(";"))
    return {(algorithm.strip().upper(), digest.strip().lower()) for algorithm, colon, digest in parts if colon}
