"""Every way a request can fail, as an exception class.

This module knows no HTTP: `web/http/errors.py` holds the one table that maps a class to a status. An error carries
fields and builds its message from them. The message is shown to people, also in the HTTP reason phrase: it is one line,
says what is wrong, and never contains a secret.
"""

from collections.abc import Sequence


class NugetproxyError(Exception):
    """The base class of all errors defined by this project. `str(error)` is one line fit for a user.

    Pickling keeps all fields, whatever the constructor takes: errors pass between our processes.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[NugetproxyError], args: tuple[object, ...], fields: dict[str, object]) -> NugetproxyError:
    error = kind.__new__(kind, *args)
    vars(error).update(fields)
    return error


# --- client errors ----------------------------------------------------------------------------------------------------


class InvalidRequest(NugetproxyError):
    """The URL, query or body cannot be parsed. The message says what is wrong and what is expected."""


class InvalidVersion(InvalidRequest):
    """The string is not a NuGet version (nuget-protocol: package versioning)."""

    def __init__(self, text: str, why: str = "expected N[.N[.N[.N]]][-label][+metadata]") -> None:
        self.text = text
        self.why = why
        super().__init__(f"{_shown(text)} is not a NuGet version: {why}")


class InvalidVersionRange(InvalidRequest):
    """The string is not a NuGet version range in interval notation."""

    def __init__(self, text: str, why: str) -> None:
        self.text = text
        self.why = why
        super().__init__(f"{_shown(text)} is not a NuGet version range: {why}")


class InvalidPackageId(InvalidRequest):
    """The string is not a valid package id."""

    def __init__(self, text: str, why: str) -> None:
        self.text = text
        self.why = why
        super().__init__(f"{_shown(text)} is not a package id: {why}")


class InvalidPackage(NugetproxyError):
    """The file is not a package that we accept. The message says which rule it breaks."""


class InvalidBundle(NugetproxyError):
    """A bundle that is damaged, or is none. `where` names it; `why` says what is wrong, and at which place."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = why
        super().__init__(f"{_shown(where)} is not a complete bundle: {why}")


class UntrustedBundle(InvalidBundle):
    """A bundle that no trusted key has signed, or that was changed after it was signed."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.args = (f"{_shown(where)} cannot be trusted: {why}",)


class BundleRefused(NugetproxyError):
    """An intact bundle that cannot be imported here: it is too old, too large, or its base is missing."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = why
        super().__init__(f"{_shown(where)} is not imported: {why}")


class UnsupportedBody(NugetproxyError):
    """The body of the request is of a media type that is not accepted here."""


class TooLarge(NugetproxyError):
    """A size limit was exceeded. `limit` is in bytes."""

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        super().__init__(f"{what} is larger than the limit of {limit} bytes")


class TooMany(NugetproxyError):
    """A limit on concurrent or repeated operations was exceeded. `retry_after` is in seconds, None when unknown."""

    def __init__(self, what: str, limit: int, retry_after: float | None = None) -> None:
        self.what = what
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(f"too many {what}: the limit is {limit}")


class Busy(NugetproxyError):
    """The queue for one kind of work is full; a retry may succeed. `what` names the kind."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        self.what = what
        self.retry_after = retry_after
        super().__init__(f"the server is busy: too many requests are waiting ({what}); try again in a few seconds")


# --- not allowed ------------------------------------------------------------------------------------------------------


class NotAuthenticated(NugetproxyError):
    """Credentials are required and missing, or the Basic credentials are wrong."""


class TokenRefused(NugetproxyError):
    """A bearer token is missing, or is not accepted. No other kind of credentials would be, so none is asked for."""


class Forbidden(NugetproxyError):
    """The client is known but not allowed to do this, or the API key is unknown; both look alike to the client."""


class Withheld(NugetproxyError):
    """A rule of the policy withholds the version, which the client asked for by name. `rule` is the name of the rule.

    Lists simply leave the version out: only direct downloads are refused like this.
    """

    def __init__(self, sentence: str, rule: str) -> None:
        self.rule = rule
        super().__init__(sentence)


class Conflict(NugetproxyError):
    """The request conflicts with the current state."""


class PackageExists(Conflict):
    """The version exists; versions are never replaced. Scripts match nuget.org's wording (push, status 409)."""

    def __init__(self, package_id: str, version: str, sentence: str = "already exists and cannot be modified.") -> None:
        self.package_id = package_id
        self.version = version
        super().__init__(f"A package with ID {_shown(package_id)} and version {_shown(version)} {sentence}")


class VersionBurnt(PackageExists):
    """The version was permanently deleted. Its name stays reserved: a client that restored it must never get different
    bytes under it. The wording differs from PackageExists, because "already exists" would make people search for it.
    """

    def __init__(self, package_id: str, version: str) -> None:
        super().__init__(
            package_id,
            version,
            "was deleted, and its version number cannot be used again. An administrator can release it: "
            f"nugetproxy package delete {package_id} {version} --allow-reuse",
        )


class IdReserved(Conflict):
    """The new id is under a prefix reserved for another account. The wording is nuget.org's, plus the prefix."""

    def __init__(self, package_id: str, pattern: str) -> None:
        self.package_id = package_id
        self.pattern = pattern
        super().__init__(
            "This package ID has been reserved. Please request access to upload to this reserved namespace from the "
            f"owner of the reserved prefix {_shown(pattern)}, or re-upload the package with a different ID."
        )


# --- not there --------------------------------------------------------------------------------------------------------


class PackageNotFound(NugetproxyError):
    """This feed does not have the id; another feed may."""

    def __init__(self, package_id: str, why: str = "") -> None:
        self.package_id = package_id
        super().__init__(f"package {_shown(package_id)} does not exist here" + (f": {why}" if why else ""))


class AllWithheld(PackageNotFound):
    """The policy withholds every version of the id. `warning` is a sentence for users, with the rule."""

    def __init__(self, package_id: str, warning: str) -> None:
        self.warning = warning
        super().__init__(package_id, warning)


class NotMirrored(PackageNotFound):
    """The server is offline and never fetched it. Clients treat this as an unknown id; the message gives the reason."""

    def __init__(self, what: str) -> None:
        NugetproxyError.__init__(self, f"{_shown(what)} is not in this mirror, and it is offline")
        self.package_id = what


class VersionNotFound(NugetproxyError):
    """The feed has the id but not this version: no other feed is asked. `version` is empty when all were deleted."""

    def __init__(self, package_id: str, version: str = "", why: str = "") -> None:
        self.package_id = package_id
        self.version = version
        lacks = f"has no version {_shown(version)}" if version else "has no versions any more: all of them were deleted"
        super().__init__(f"package {_shown(package_id)} {lacks}" + (f": {why}" if why else ""))


class PartNotFound(NugetproxyError):
    """The version exists but has no such part (readme, icon, licence)."""

    def __init__(self, package_id: str, version: str, part: str) -> None:
        self.package_id = package_id
        self.version = version
        self.part = part
        super().__init__(f"package {_shown(package_id)} {_shown(version)} has no {part}")


class DocumentNotFound(NugetproxyError):
    """One of our own documents does not exist (an unknown vulnerability page, certificate or registration page)."""


class NotOffered(DocumentNotFound):
    """No upstream has a resource for such documents at all: there is nothing to know, which is not a failure."""


class DocumentAbsent(NugetproxyError):
    """The upstream reported that a URL does not exist. Translated into one of the above before it reaches `web`.

    `left`: for how many more seconds that may be believed, if another process was told; None: it was told just now.
    """

    def __init__(self, url: str, left: float | None = None) -> None:
        self.url = url
        self.left = left
        super().__init__(f"the upstream has no {url}")


class AccountNotFound(NugetproxyError):
    """No user or organisation (`what` says which) has this name. `nearest` is the most similar name, or empty."""

    def __init__(self, name: str, nearest: str = "", what: str = "user or organisation") -> None:
        self.name = name
        self.nearest = nearest
        super().__init__(
            f"there is no {what} {_shown(name)}" + (f"; did you mean {_shown(nearest)}?" if nearest else "")
        )


class ApiKeyNotFound(NugetproxyError):
    """No API key has this id or name. Never raised with the key itself: that is a secret."""

    def __init__(self, key: str, why: str = "") -> None:
        self.key = key
        super().__init__(f"there is no API key {_shown(key)}" + (f": {why}" if why else ""))


# --- upstream failures: never "not found" -----------------------------------------------------------------------------


class UpstreamError(NugetproxyError):
    """The upstream could not be used. `retry_after` is in seconds, None when unknown.

    `remedy` is what the operator can check or change, empty when unknown. It is not part of the message: clients see
    that, and can do nothing about the upstream.
    """

    def __init__(self, upstream: str, why: str, retry_after: float | None = None, *, remedy: str = "") -> None:
        self.upstream = upstream
        self.why = why
        self.retry_after = retry_after
        self.remedy = remedy
        super().__init__(f"upstream {upstream} {self.verdict}: {why}")

    verdict = "failed"


class UpstreamUnavailable(UpstreamError):
    """The upstream is down, refuses or resets connections, answers 5xx or 429, or its breaker is open."""

    verdict = "is unavailable"


class UpstreamTimeout(UpstreamError):
    """The upstream did not answer within the timeout."""

    verdict = "did not answer in time"


class UpstreamNonsense(UpstreamError):
    """The upstream sent an unreadable answer, content that fails a check, or a forbidden address."""

    verdict = "sent an invalid answer"


class UnreadableDocument(NugetproxyError):
    """A protocol reader could not parse a document. Translated into UpstreamNonsense by the code that fetched it."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"unreadable {what}: {why}")


class EmptyDocument(UnreadableDocument):
    """An empty document. Where clients interpret that as "does not exist", it is cached as an absence."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "it is empty")


# --- our own failures -------------------------------------------------------------------------------------------------


class StorageUnavailable(NugetproxyError):
    """The local disk or database failed (full, read-only, missing)."""


class OutcomeUnknown(StorageUnavailable):
    """A database failed while it committed: the change may or may not be made. Files that it needs must stay."""


class TakesNoChanges(StorageUnavailable):
    """The private feed is held, for example while it is moved. `because` is a sentence without a full stop."""

    retry_after = 60.0

    def __init__(self, because: str) -> None:
        self.because = because
        super().__init__(f"no changes are accepted at the moment: {because}")


class ConstraintViolated(NugetproxyError):
    """A write would have broken a rule of the database, such as two rows with one key. Nothing was written."""


class DamagedContent(StorageUnavailable):
    """Kept files are damaged or missing, so that nothing was written of them. `problems` has one line for each."""

    def __init__(self, problems: Sequence[str], remedy: str) -> None:
        self.problems = tuple(problems)
        self.remedy = remedy
        first = self.problems[0] if self.problems else "unknown"
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(f"{first}{more}; {remedy}")


class FileReplaced(StorageUnavailable):
    """A stored file was removed or replaced after it was looked up: look it up again."""


class NotKeptHere(StorageUnavailable):
    """The content exists, but there is no room for it on this machine's disk: it can only be streamed."""


class DocumentTooLarge(NugetproxyError):
    """The document exceeds what we render; truncated, it would look complete. `limit` is in bytes."""

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        super().__init__(f"{what} is larger than the limit of {limit} bytes")


class DataOfAnotherVersion(StorageUnavailable):
    """A database was written by another version of nugetproxy. The message says which one, and what to use."""


class ProcessLost(NugetproxyError):
    """One of our worker processes died or hung during a task. `what` is the kind of task."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"the work ({what}) could not be done: {why}; see the server's log")


class ConfigError(NugetproxyError):
    """The settings are invalid. Lists all problems, each with its key. Raised at startup only."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _shown(text: str) -> str:
    """Untrusted text made safe for a one-line message: short, printable, quoted."""
    cut = text if len(text) <= 100 else text[:97] + "..."
    return "'" + "".join(c if c.isprintable() else "?" for c in cut) + "'"
