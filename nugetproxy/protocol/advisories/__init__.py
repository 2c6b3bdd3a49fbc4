"""Advisories of our own, from files: the values, and the two forms in which they are written (OSV and NuGet's).

What upstreams say about vulnerabilities belongs to `protocol.v3.vulnerabilities`. There, what cannot be read is left
out; here it is refused, because the author can repair it.
"""
