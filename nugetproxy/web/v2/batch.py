"""POST $batch: collections whose URL is too long for NuGet 2 to send."""

import asyncio
import uuid

from aiohttp import web

from nugetproxy.errors import DocumentTooLarge, InvalidRequest
from nugetproxy.protocol.bounds import LARGEST_DOCUMENT
from nugetproxy.protocol.v2.atom import FEED_TYPE
from nugetproxy.protocol.v2.batch import read_batch, write_batch
from nugetproxy.protocol.v2.feed_query import FeedQuery
from nugetproxy.web.http.targets import refuse_key
from nugetproxy.web.requests.keys import NOTE, SERVICES
from nugetproxy.web.v2.answers import ODATA
from nugetproxy.web.v2.feed import feed_document


async def batch(request: web.Request) -> web.StreamResponse:
    """The requested collections, one after the other.

    NuGet sends one query per batch, and shows its user the status line of the whole batch: so an error that would
    refuse a query refuses the batch.

    Raises:
        InvalidRequest: the body is not a batch of queries; also raises all errors of a request for a collection.
    """
    queries = read_batch(request.headers.get("Content-Type", ""), await _body(request))
    documents, provenance = [], None
    for query in queries:
        refuse_key(" ".join((query.segment, *(value for _, value in query.pairs))))
        answer = await feed_document(request, query.segment, FeedQuery.from_pairs(query.pairs))
        documents.append((FEED_TYPE, answer.value))
        if sum(len(document) for _, document in documents) > LARGEST_DOCUMENT:
            raise DocumentTooLarge("the answer to this batch", LARGEST_DOCUMENT)
        provenance = answer.provenance if provenance is None else provenance.joined(answer.provenance)
    assert provenance is not None  # a batch is never empty
    request[NOTE].outcome = provenance.outcome
    boundary = f"batchresponse_{uuid.uuid4()}"
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}", "Cache-Control": "no-store", **ODATA}
    return web.Response(status=202, body=write_batch(documents, boundary), headers=headers)


async def _body(request: web.Request) -> bytes:
    """The whole body: the application limits its size."""
    try:
        async with asyncio.timeout(request.app[SERVICES].config.server.header_timeout):
            return await request.read()
    except TimeoutError as error:
        raise InvalidRequest("the request's body did not arrive in time") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InvalidRequest("the request's body is malformed or incomplete") from error
