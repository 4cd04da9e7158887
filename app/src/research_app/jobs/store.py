"""The records of jobs in Redis.

Below `<prefix>jobs:` are `job:ID` (the record), `lease:ID` (who works on it), `due` (when somebody
must look at an unfinished job), `all` (ids by age) and `dead` (ids that were given up). Records
of ended jobs expire, those of dead ones go with their place among the newest dead; the others have
no time to live, so the cache does not evict them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import orjson
from redis.asyncio import Redis

from research_app.cache import FAILURES, connect
from research_app.jobs.record import ENDED, Job, JobsFullError, JobsUnavailableError
from research_app.settings import Settings

logger = logging.getLogger(__name__)

QUEUE = "queue"
ANSWER_SECONDS = 3.0
LEASE_SECONDS = 20.0
RESEND_SECONDS = 30.0
TICK_SECONDS = 5.0
WORKER_SECONDS = 15.0
KEPT = 1000
# waits while the cache fails over, before a result is given up (and the job is done again)
PAUSES = (0.2, 0.5, 1, 2, 4, 8, 15, 30, 60)

Result = TypeVar("Result")


class JobStore:
    """Reads and writes records; one per event loop."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis: Any = redis
        self._section = settings.jobs
        self._prefix = settings.cache.prefix + "jobs:"

    def _key(self, name: str) -> str:
        return self._prefix + name

    async def add(self, job: Job) -> None:
        """Keep a new job, unless too many are unfinished."""
        with self._answering():
            if await self._redis.zcard(self._key("due")) >= self._section.max_queued:
                raise JobsFullError
            async with self._redis.pipeline() as pipe:
                pipe.hset(self._key(f"job:{job.id}"), mapping=_flat(job))
                pipe.zadd(self._key("all"), {job.id: job.created})
                pipe.zadd(self._key("due"), {job.id: time.time() + RESEND_SECONDS})
                pipe.zremrangebyrank(self._key("all"), 0, -KEPT - 1)
                await pipe.execute()

    async def get(self, identity: str) -> Job | None:
        """One job."""
        with self._answering():
            fields = await self._redis.hgetall(self._key(f"job:{identity}"))
        return _job(fields)

    async def newest(self, limit: int = 100) -> list[Job]:
        """The newest jobs, newest first."""
        with self._answering():
            found = await self._redis.zrevrange(self._key("all"), 0, limit - 1)
            async with self._redis.pipeline(transaction=False) as pipe:
                for identity in found:
                    pipe.hgetall(self._key(f"job:{identity.decode()}"))
                records = await pipe.execute()
        return [job for fields in records if (job := _job(fields)) is not None]

    async def depth(self) -> dict[str, int]:
        """How many jobs are unfinished, how many messages wait, how many jobs are dead."""
        with self._answering():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zcard(self._key("due"))
                pipe.llen(self._key(QUEUE))
                pipe.llen(self._key("dead"))
                unfinished, waiting, dead = await pipe.execute()
        return {"unfinished": unfinished, "waiting": waiting, "dead": dead}

    async def counts(self) -> dict[str, float]:
        """How many jobs ended and how, as `KIND:STATE`, and `KIND:seconds`."""
        with self._answering():
            found = await self._redis.hgetall(self._key("counts"))
        return {name.decode(): float(value) for name, value in found.items()}

    async def queue_again(self, job: Job, message: str, at: float | None = None) -> None:
        """Let a job be done again, from `at` on."""
        job.state, job.message, job.worker, job.updated = "queued", message, "", time.time()
        job.unsent = at is not None
        async with self._redis.pipeline() as pipe:
            pipe.hset(self._key(f"job:{job.id}"), mapping=_flat(job))
            pipe.persist(self._key(f"job:{job.id}"))
            pipe.zadd(self._key("due"), {job.id: at or time.time() + RESEND_SECONDS})
            pipe.lrem(self._key("dead"), 0, job.id)
            pipe.delete(self._key(f"lease:{job.id}"))
            await pipe.execute()

    async def claim(self, identity: str, worker: str, token: str) -> Job | None:
        """Take a job; None where another has it, or where it has ended."""
        lease = self._key(f"lease:{identity}")
        if not await self._redis.set(lease, token, nx=True, px=int(1000 * LEASE_SECONDS)):
            holder = await self._redis.get(lease)
            if holder is None or holder.decode() != token:  # it may be ours, its answer lost
                return None
        job = _job(await self._redis.hgetall(self._key(f"job:{identity}")))
        if job is None or job.state in ENDED:
            await self._redis.delete(lease)
            return None
        job = job.model_copy(
            update={
                "state": "running",
                "attempts": job.attempts + 1,
                "worker": worker,
                "started": time.time(),
                "updated": time.time(),
            }
        )
        async with self._redis.pipeline() as pipe:
            pipe.hset(self._key(f"job:{identity}"), mapping=_flat(job))
            pipe.zadd(self._key("due"), {identity: time.time() + LEASE_SECONDS})
            await pipe.execute()
        return job

    async def renew(self, identity: str, token: str) -> bool:
        """Hold a job longer; False where another has it now."""
        lease = self._key(f"lease:{identity}")
        holder = await self._redis.get(lease)
        if holder is not None and holder.decode() != token:
            return False
        async with self._redis.pipeline() as pipe:
            pipe.set(lease, token, px=int(1000 * LEASE_SECONDS))
            pipe.zadd(self._key("due"), {identity: time.time() + LEASE_SECONDS})
            await pipe.execute()
        return True

    async def progress(self, job: Job) -> None:
        """Write what a running job did so far."""
        job.updated = time.time()
        await self._redis.hset(self._key(f"job:{job.id}"), mapping=_flat(job))

    async def end(self, job: Job, seconds: float = 0.0) -> None:
        """Write the outcome of a job, and how long its last try took."""
        assert job.state in ENDED  # noqa: S101
        job.updated = time.time()
        async with self._redis.pipeline() as pipe:
            pipe.hset(self._key(f"job:{job.id}"), mapping=_flat(job))
            pipe.zrem(self._key("due"), job.id)
            pipe.delete(self._key(f"lease:{job.id}"))
            pipe.hincrby(self._key("counts"), f"{job.kind}:{job.state}", 1)
            pipe.hincrbyfloat(self._key("counts"), f"{job.kind}:seconds", seconds)
            if job.state == "dead":
                pipe.lrem(self._key("dead"), 0, job.id)
                pipe.lpush(self._key("dead"), job.id)
            else:
                pipe.expire(self._key(f"job:{job.id}"), self._section.keep_days * 86400)
            await pipe.execute()
        if job.state == "dead":
            await self._forget_oldest_dead()

    async def _forget_oldest_dead(self) -> None:
        """Nobody tries a job again that a thousand younger ones have pushed out of sight."""
        while await self._redis.llen(self._key("dead")) > KEPT:
            if oldest := await self._redis.rpop(self._key("dead")):
                await self._redis.delete(self._key(f"job:{oldest.decode()}"))

    async def due(self) -> list[str]:
        """The jobs that need another message now; one worker at a time gets them."""
        mine = await self._redis.set(
            self._key("tick"), "1", nx=True, px=int(1000 * TICK_SECONDS) - 500
        )
        if not mine:
            return []
        now = time.time()
        found = await self._redis.zrangebyscore(self._key("due"), "-inf", now, 0, 50)
        waiting = await self._redis.llen(self._key(QUEUE))
        chosen = []
        for identity in (name.decode() for name in found):
            if await self._redis.exists(self._key(f"lease:{identity}")):
                await self._redis.zadd(self._key("due"), {identity: now + LEASE_SECONDS})
            elif await self._to_send(identity, waiting):
                chosen.append(identity)
        return chosen

    async def _to_send(self, identity: str, waiting: int) -> bool:
        job = await self.get(identity)
        if job is None or job.state in ENDED:
            await self._redis.zrem(self._key("due"), identity)
            return False
        if job.state == "running":
            await self.queue_again(job, "its worker was lost; it is taken up again")
            return True
        await self._redis.zadd(self._key("due"), {identity: time.time() + RESEND_SECONDS})
        if job.unsent:
            await self._redis.hset(self._key(f"job:{identity}"), "unsent", b"false")
        # a message that waits its turn is not lost
        return job.unsent or waiting == 0

    async def beat(self, worker: str, fields: dict[str, Any]) -> None:
        """Say that a worker lives."""
        word = orjson.dumps({**fields, "at": time.time()})
        await self._redis.hset(self._key("workers"), worker, word)

    async def leave(self, worker: str) -> None:
        """Say that a worker has ended."""
        await self._redis.hdel(self._key("workers"), worker)

    async def workers(self) -> dict[str, dict[str, Any]]:
        """The workers that have lately said that they live."""
        with self._answering():
            found = await self._redis.hgetall(self._key("workers"))
        words = {name.decode(): orjson.loads(word) for name, word in found.items()}
        oldest = time.time() - WORKER_SECONDS
        return {name: word for name, word in words.items() if word["at"] > oldest}

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    @staticmethod
    @contextlib.contextmanager
    def _answering() -> Any:
        try:
            yield
        except FAILURES as error:
            raise JobsUnavailableError(type(error).__name__) from error


def patient(settings: Settings) -> Redis | None:
    """A client that waits: a search can do without the cache, a job cannot."""
    longer = max(settings.cache.timeout_seconds, ANSWER_SECONDS)
    cache = settings.cache.model_copy(update={"timeout_seconds": longer})
    return connect(settings.model_copy(update={"cache": cache}))


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[JobStore]:
    """A store for this event loop."""
    redis = patient(settings)
    if redis is None or not settings.jobs.enabled:
        raise JobsUnavailableError("no cache tier is set up for jobs")
    store = JobStore(redis, settings)
    try:
        yield store
    finally:
        await store.close()


async def insist(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do it, and again while the cache fails over."""
    for pause in PAUSES:
        try:
            return await work()
        except (*FAILURES, JobsUnavailableError) as error:
            logger.warning("jobs: %s; again in %s s", type(error).__name__, pause)
        await asyncio.sleep(pause)
    return await work()


def _flat(job: Job) -> dict[str, bytes]:
    return {name: orjson.dumps(value) for name, value in job.model_dump().items()}


def _job(fields: dict[bytes, bytes]) -> Job | None:
    if not fields:
        return None
    return Job.model_validate({k.decode(): orjson.loads(v) for k, v in fields.items()})
