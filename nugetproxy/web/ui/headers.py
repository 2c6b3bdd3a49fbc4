"""The security headers of pages, in one place. Every page has all of them, error pages included.

What a page loads comes from this server: no script or style is inline, no image comes from elsewhere, and nothing else
may frame it. So text that escaped its place in a page would not run.
"""

from collections.abc import Mapping
from typing import Final

_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    # Our script writes text only, so no text can become markup through it.
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    # Not "no-referrer": browsers would then send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

PAGE_CACHE: Final = "private, no-cache"
"""A page depends on who reads it, and is confirmed by its entity tag before it is shown again."""

TRANSPORT_HEADERS: Final[Mapping[str, str]] = {"Strict-Transport-Security": "max-age=31536000"}
"""For pages over https. Not for subdomains: those are others' servers."""
