"""Error -> status, headers, reason phrase and body: the only such table.

NuGet's clients print the reason phrase of a failed request and drop its body, so the error's own sentence is the phrase
(nuget-protocol: push and restore error texts). An upstream failure is never a 404: clients take a 404 as final.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from nugetproxy import errors
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.web.http.resource import Resource

LONGEST_REASON = 512
"""Characters of a reason phrase. Some reverse proxies reject a status line above 1 KiB."""

WARNING = "X-NuGet-Warning"
"""The header whose text restore and push print as a warning (nuget-protocol: push)."""

_READS_LIST_AGAIN = ("NuGet .NET Core MSBuild Task/", "NuGet Client V3/", "NuGet xplat/")
"""How the User-Agent of clients begins that download only what a list has named (nuget-protocol: client headers)."""

DEFAULT_RETRY_AFTER = 5
"""Seconds to wait when nothing better is known: about as long as a transient failure lasts."""


def _no_headers(_: errors.NugetproxyError) -> Mapping[str, str]:
    return {}


def _retry_after(error: errors.NugetproxyError) -> Mapping[str, str]:
    seconds = getattr(error, "retry_after", None)
    return {"Retry-After": str(DEFAULT_RETRY_AFTER if seconds is None else max(1, math.ceil(seconds)))}


def warning_header(warnings: Sequence[str]) -> Mapping[str, str]:
    """The header that shows these sentences to the client's user; empty without any."""
    return {WARNING: reason_phrase(" ".join(warnings))} if warnings else {}


def _policy_warning(error: errors.NugetproxyError) -> Mapping[str, str]:
    return warning_header([getattr(error, "warning", "")])


REALM = "nugetproxy"


def _challenge(_: errors.NugetproxyError) -> Mapping[str, str]:
    # For pushes too: a client answers with what its nuget.config stores for the source, which it never sends otherwise.
    # A client with nothing stored sends its push twice before it gives up (nuget-protocol: push).
    return {"WWW-Authenticate": f'Basic realm="{REALM}"'}


def _bearer_challenge(_: errors.NugetproxyError) -> Mapping[str, str]:
    return {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Row:
    """How one class of error is answered."""

    status: int
    headers: Callable[[errors.NugetproxyError], Mapping[str, str]] = _no_headers


TABLE: Mapping[type[errors.NugetproxyError], Row] = {
    errors.InvalidRequest: Row(400),
    errors.InvalidVersion: Row(400),
    errors.InvalidVersionRange: Row(400),
    errors.InvalidPackageId: Row(400),
    errors.InvalidPackage: Row(400),
    errors.InvalidBundle: Row(400),
    errors.UntrustedBundle: Row(400),
    errors.BundleRefused: Row(409),
    errors.TooLarge: Row(413),
    errors.UnsupportedBody: Row(415),
    errors.TooMany: Row(429, _retry_after),
    errors.Busy: Row(503, _retry_after),
    errors.NotAuthenticated: Row(401, _challenge),
    errors.TokenRefused: Row(401, _bearer_challenge),
    errors.Forbidden: Row(403),
    errors.Withheld: Row(403),
    errors.Conflict: Row(409),
    errors.PackageExists: Row(409),
    errors.VersionBurnt: Row(409),
    errors.IdReserved: Row(409),
    errors.PackageNotFound: Row(404),
    errors.AllWithheld: Row(404, _policy_warning),
    errors.NotMirrored: Row(404),
    errors.VersionNotFound: Row(404),
    errors.PartNotFound: Row(404),
    errors.DocumentNotFound: Row(404),
    errors.NotOffered: Row(404),
    errors.DocumentAbsent: Row(404),
    errors.AccountNotFound: Row(404),
    errors.ApiKeyNotFound: Row(404),
    errors.UpstreamError: Row(503, _retry_after),
    errors.UpstreamUnavailable: Row(503, _retry_after),
    errors.UpstreamTimeout: Row(504),
    errors.UpstreamNonsense: Row(502),
    errors.UnreadableDocument: Row(502),
    errors.EmptyDocument: Row(502),
    errors.DocumentTooLarge: Row(500),
    errors.StorageUnavailable: Row(503, _retry_after),
    errors.OutcomeUnknown: Row(503, _retry_after),
    errors.TakesNoChanges: Row(503, _retry_after),
    errors.ConstraintViolated: Row(500),
    errors.DamagedContent: Row(503, _retry_after),
    errors.FileReplaced: Row(503, _retry_after),
    errors.NotKeptHere: Row(503, _retry_after),
    errors.ProcessLost: Row(503, _retry_after),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failed request as reported to the client. `reason` is safe for a status line."""

    status: int
    reason: str
    outcome: Outcome
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer_headers(self) -> tuple[tuple[str, str], ...]:
        """The response's headers, without those of its body and those of every response."""
        return (
            ("Cache-Control", "no-store"),
            ("Cache-Status", f"nugetproxy; detail={self.outcome.value}"),
            *self.headers.items(),
        )

    def body(self, request_id: str) -> bytes:
        return orjson.dumps({"error": self.reason, "request_id": request_id})


def refusal_for(error: Exception, resource: Resource, agent: str = "") -> Refusal:
    """How `error` is reported to a client that asked for `resource`. Never raises. `agent` is its User-Agent."""
    if isinstance(error, errors.Withheld) and resource is Resource.NUPKG and agent.startswith(_READS_LIST_AGAIN):
        # These clients repeat a 403 for six seconds. After a 404 they read the list again, past their caches, and
        # choose another version. They print no reason phrase of a 404, but they print the warning.
        return Refusal(404, reason_phrase(str(error)), Outcome.REFUSED, warning_header([str(error)]))
    row = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), None)
    if row is None or not isinstance(error, errors.NugetproxyError):
        # The message of an unforeseen exception belongs in our log: it may quote paths and settings.
        refusal = refused(500, "internal error; the server's log has details under this request id")
    else:
        refusal = refused(row.status, str(error), row.headers(error))
    if resource is Resource.VULNERABILITIES and refusal.status >= 500:
        # A 5xx here delays every restore by 6 seconds; a 404 is reported to the user immediately (NU1900).
        return Refusal(404, refusal.reason, Outcome.FAILED)
    return refusal


def refused(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """A refusal without an error class of its own (an unknown path, a method that is not allowed)."""
    if status >= 500:
        outcome = Outcome.FAILED
    elif status == 404:
        outcome = Outcome.ABSENT
    else:
        outcome = Outcome.REFUSED
    return Refusal(status, reason_phrase(sentence), outcome, headers or {})


def reason_phrase(sentence: str) -> str:
    """`sentence` as one line of printable ASCII of bounded length, which cannot end the status line."""
    line = "".join(c if " " <= c <= "~" else "?" if c.isprintable() else " " for c in sentence).strip()
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 3] + "..."
