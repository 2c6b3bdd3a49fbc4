"""The SymbolChecksum header: what a debugger knows about the PDB it requests.

`SHA256:<hex>[;SHA384:<hex>…]`, from the debug directory of the assembly. Source: dotnet/symstore,
docs/specs/SSQP_Key_Conventions and Symbol server protocol.
"""

from collections.abc import Mapping


def write_symbol_checksums(digests: Mapping[str, bytes]) -> str:
    """Format digests, given by algorithm name, as the header's value."""
    return ";".join(f"{algorithm}:{digest.hex()}" for algorithm, digest in digests.items())


def read_symbol_checksums(text: str) -> dict[str, bytes]:
    """The inverse of `write_symbol_checksums`. Raises ValueError for anything that it does not write."""
    digests = {algorithm: bytes.fromhex(digest) for algorithm, _, digest in (p.partition(":") for p in text.split(";"))}
    if write_symbol_checksums(digests) != text:
        raise ValueError("it is not written as a list of checksums is")
    return digests


def agrees(wanted: str, known: str) -> bool:
    """Whether a file with the checksums `known` may be the one that the header `wanted` asks for.

    False if the header names algorithms for which the file's digest is known, and none of them matches. A header that
    is empty, malformed or of other algorithms excludes nothing.
    """
    known_pairs = _pairs(known)
    algorithms = {algorithm for algorithm, _ in known_pairs}
    comparable = {(algorithm, digest) for algorithm, digest in _pairs(wanted) if algorithm in algorithms}
    return not comparable or bool(comparable & known_pairs)


def _pairs(text: str) -> set[tuple[str, str]]:
    """Algorithm in upper case, digest in lower case."""
    parts = (item.partition(":") for item in text.split(";"))
    return {(algorithm.strip().upper(), digest.strip().lower()) for algorithm, colon, digest in parts if colon}
