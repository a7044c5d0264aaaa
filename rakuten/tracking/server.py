"""The model server: MLflow's scoring application with metrics, a key and limits around it.

`/invocations`, `/ping`, `/health` and `/version` are MLflow's. `/metrics` is for Prometheus,
`/info` identifies the model, `/livez` and `/readyz` are health checks as in Kubernetes. A refusal
is JSON in the form of MLflow's errors, see `rakuten.tracking.served`; MLflow itself answers with
text to unknown content types (415) and after 60 seconds (504).
"""

import asyncio
import hmac
import json
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
from mlflow.pyfunc import PyFuncModel, scoring_server
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from starlette.applications import Starlette
from starlette.authentication import AuthenticationBackend, AuthenticationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rakuten.categories import CODES

BODIES = 2
"""Memory limit for request bodies, as a multiple of the maximum body size.

A request that MLflow answered after its time limit no longer counts, though its work goes on."""

SMALL = 64 << 10
"""Bytes of a body that does not count: uvicorn buffers as many before the request is handled."""

MAX_WAITING = 64
"""Requests that may wait until there is memory for their body. Further ones are refused."""

BODY_TIMEOUT = 30.0
"""Seconds that a request waits for memory, and seconds that its client has to send the body."""

SCORING = "/invocations"
"""The path of predictions, which the metrics count."""

WITHOUT_KEY = ("/livez", "/readyz", "/ping", "/health")
"""The health checks, which need no key."""

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper limits of the latency histogram's buckets."""

PROBABILITIES = (*(tenth / 10 for tenth in range(1, 10)), 0.95, 0.99, 0.999, 1.0)
"""Upper limits of the confidence histogram's buckets."""

ERROR_CODES = {
    401: "UNAUTHENTICATED",
    404: "ENDPOINT_NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "REQUEST_LIMIT_EXCEEDED",
    499: "CANCELLED",
    503: "TEMPORARILY_UNAVAILABLE",
}
"""MLflow's names of the statuses with which the server refuses a request."""


disable_created_metrics()  # otherwise each counter has another series, the time of its creation


class Metrics:
    """What Prometheus collects: few series, whatever clients send.

    Args:
        identity: Labels of the series `rakuten_model_info`.

    Attributes:
        registry: The collectors.
    """

    def __init__(self, identity: Mapping[str, str]):
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "rakuten_requests", "Requests for predictions", ["status"], registry=registry
        )
        self._seconds = Histogram(
            "rakuten_request_seconds",
            "Seconds from a request's headers to the end of the answer",
            buckets=SECONDS,
            registry=registry,
        )
        self._predictions = Counter(
            "rakuten_predictions", "Predicted categories", ["prdtypecode"], registry=registry
        )
        for code in CODES:
            self._predictions.labels(code)  # a series of 0 until the category is predicted
        self._unpredicted = Counter(
            "rakuten_unpredicted", "Products that could not be classified", registry=registry
        )
        self._confidence = Histogram(
            "rakuten_confidence",
            "Probability of the predicted category",
            buckets=PROBABILITIES,
            registry=registry,
        )
        Info("rakuten_model", "The served model", registry=registry).info(dict(identity))

    def count_request(self, status: int, seconds: float) -> None:
        """Count an answered request.

        Args:
            status: The status of the answer.
            seconds: How long it took.
        """
        self._requests.labels(status).inc()
        self._seconds.observe(seconds)

    def count_predictions(self, table: pd.DataFrame) -> None:
        """Count the predicted categories and their probabilities.

        Args:
            table: What the model returned: prdtypecode and probability, None without a prediction.
        """
        found = table.dropna(subset="prdtypecode")
        self._unpredicted.inc(len(table) - len(found))
        for code, probability in zip(found["prdtypecode"], found["probability"], strict=True):
            self._predictions.labels(int(code)).inc()
            self._confidence.observe(probability)


class CountedModel:
    """A model whose predictions are counted.

    Args:
        model: The model.
        metrics: Where they are counted.

    Attributes:
        metadata: That of the model, which MLflow reads.
    """

    def __init__(self, model: PyFuncModel, metrics: Metrics):
        self._model, self._metrics = model, metrics
        self.metadata = model.metadata

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predict with the model, see `rakuten.tracking.served.ServedClassifier.predict`."""
        table: Any = self._model.predict(data, params=params)
        self._metrics.count_predictions(table)
        return table


def create(identity: Mapping[str, Any], *, key: str | None, max_body: int) -> Starlette:
    """Create the server's application. It is not ready before `serve_model`.

    Args:
        identity: What `/info` returns. Its texts are also labels of the metrics.
        key: What clients must send as `Authorization: Bearer KEY`; None if no key is required.
        max_body: Largest accepted request body, in bytes.

    Returns:
        The application.
    """
    metrics = Metrics({name: text for name, text in identity.items() if isinstance(text, str)})
    middleware = [Middleware(_CountRequests, metrics=metrics)]
    if key is not None:
        middleware.append(
            Middleware(AuthenticationMiddleware, backend=_BearerKey(key), on_error=_unauthorized)
        )
    application = Starlette(
        routes=[
            Route("/livez", _alive),
            Route("/readyz", _ready),
            Route("/info", partial(_info, dict(identity))),
            Route("/metrics", partial(_metrics, metrics)),
            Mount("/", _scoring, middleware=[Middleware(_LimitBodies, max_body=max_body)]),
        ],
        middleware=middleware,
        exception_handlers={HTTPException: _refuse},
    )
    application.state.metrics = metrics
    application.state.scoring = None  # MLflow's application
    return application


def serve_model(application: Starlette, model: PyFuncModel) -> None:
    """Make the application ready: let it answer with a model.

    Args:
        application: What `create` returned.
        model: A loaded `rakuten.tracking.served.ServedClassifier`.
    """
    counted: Any = CountedModel(model, application.state.metrics)  # MLflow uses nothing else
    scoring = scoring_server.init(counted)
    scoring.add_exception_handler(HTTPException, _refuse)
    application.state.scoring = scoring


class _CountRequests:
    """Counts requests for predictions by status, also those that are refused."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != SCORING:
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._metrics.count_request(status, time.perf_counter() - begun)


class _BearerKey(AuthenticationBackend):
    """Requires a key for everything except the health checks."""

    def __init__(self, key: str):
        self._key = key.encode()

    async def authenticate(self, conn: HTTPConnection) -> None:
        if conn.scope["path"] in WITHOUT_KEY:  # not conn.url, which contains the header Host
            return
        scheme, _, given = conn.headers.get("Authorization", "").partition(" ")
        is_right = hmac.compare_digest(given.strip().encode(), self._key)
        if scheme.lower() != "bearer" or not is_right:
            raise AuthenticationError("expected the header 'Authorization: Bearer KEY'")


class _LimitBodies:
    """Limits the bodies of requests for predictions: their size, and their sum in memory.

    The limit of Starlette is not used, because it always answers with text.
    """

    def __init__(self, app: ASGIApp, max_body: int):
        self._app, self._max_body = app, max_body
        self._held, self._waiting = 0, 0
        self._released = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Other requests, some of which need no key, take no memory: MLflow ignores their bodies.
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", SCORING):
            await self._app(scope, receive, send)
            return
        headers, size = Headers(scope=scope), self._max_body
        if "Transfer-Encoding" not in headers:  # uvicorn checks the length, and takes 0 without one
            size = int(headers.get("Content-Length", 0))
        self._check(size)
        size = size if size > SMALL else 0
        await self._hold(size)
        try:
            body = [await self._read(Request(scope, receive))]  # emptied when MLflow reads it

            async def receive_body() -> Message:
                return body.pop() if body else await receive()

            await self._app(scope, receive_body, send)
        finally:
            async with self._released:
                self._held -= size
                self._released.notify_all()

    async def _read(self, request: Request) -> Message:
        chunks, received = [], 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                async for chunk in request.stream():
                    received += len(chunk)
                    self._check(received)
                    chunks.append(chunk)
        except TimeoutError as error:
            raise HTTPException(
                408, f"the body did not arrive in {BODY_TIMEOUT:g} seconds: send it again"
            ) from error
        except ClientDisconnect as error:
            raise HTTPException(499, "disconnected") from error  # for the log and the metrics
        body = b"".join(chunks)
        await asyncio.to_thread(_check_content, request.headers.get("Content-Type", ""), body)
        return {"type": "http.request", "body": body, "more_body": False}

    def _check(self, size: int) -> None:
        if size > self._max_body:
            reason = f"the body has more than {self._max_body:,} bytes: send fewer products in a "
            raise HTTPException(413, reason + "request, or smaller images")

    async def _hold(self, size: int) -> None:
        """Wait until there is memory for a body."""
        if not size:
            return
        if self._waiting >= MAX_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(BODY_TIMEOUT), self._released:
                await self._released.wait_for(lambda: self._held + size <= BODIES * self._max_body)
                self._held += size
        except TimeoutError as error:
            raise _busy() from error
        finally:
            self._waiting -= 1


def _check_content(kind: str, body: bytes) -> None:
    """Refuse malformed text, which MLflow would repeat in an answer several times as large."""
    try:
        if kind.startswith(scoring_server.CONTENT_TYPE_JSON):
            json.loads(body)
        elif kind.startswith(scoring_server.CONTENT_TYPE_CSV):
            body.decode()
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"malformed {kind.partition(';')[0]}: {error}") from error


def _busy() -> HTTPException:
    reason = "the server is busy with large requests: send this one again later"
    return HTTPException(503, reason, {"Retry-After": "5"})


async def _scoring(scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a request on to MLflow's application."""
    scoring = scope["app"].state.scoring
    if scoring is None:
        raise HTTPException(
            503, "the model is being loaded: send the request again later", {"Retry-After": "5"}
        )
    await scoring(scope, receive, send)


async def _alive(request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _ready(request: Request) -> Response:
    if request.app.state.scoring is None:
        return PlainTextResponse("the model is being loaded\n", 503)
    return PlainTextResponse("ok\n")


async def _info(identity: dict[str, Any], request: Request) -> Response:
    return JSONResponse(identity)


async def _metrics(metrics: Metrics, request: Request) -> Response:
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _unauthorized(connection: HTTPConnection, error: Exception) -> Response:
    return _answer(401, str(error), {"WWW-Authenticate": "Bearer"})


def _refuse(request: Request, error: Exception) -> Response:
    """Answer with a refusal in the form of MLflow's errors."""
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, error.detail, error.headers)


def _answer(status: int, reason: str, headers: Mapping[str, str] | None) -> Response:
    content = {
        "error_code": ERROR_CODES.get(status, "BAD_REQUEST"),
        "message": reason,
        "problems": [{"row": None, "column": "", "reason": reason}],
    }
    return JSONResponse(content, status, headers)
