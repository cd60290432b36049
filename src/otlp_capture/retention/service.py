"""The documented service: what a store holds, what is to go, and that it goes."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol, TypeAlias, runtime_checkable

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock, ClockTag, moment
from otlp_capture.layer import Layer, Miswired, Scope, Tag, open_runtime, scoped
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention.errors import ArchiveMissing, InvalidPolicy, RetentionError
from otlp_capture.retention.execution import execute_plan
from otlp_capture.retention.model import (
    CleanupResult,
    PlannedAction,
    RetentionPlan,
    StorageMetrics,
    StorageSurvey,
)
from otlp_capture.retention.planning import make_plan, plan_archiving, plan_continuous
from otlp_capture.retention.policy import RetentionPolicy, check_days, check_policy
from otlp_capture.retention.schedule import next_run, run_by_schedule
from otlp_capture.retention.survey import (
    metrics,
    survey_continuous,
    survey_session,
    survey_store,
)
from otlp_capture.storage import S3Storage, S3StorageTag, StorageError

_log = logging.getLogger(__name__)

CleanupOutcome: TypeAlias = Outcome[CleanupResult, RetentionError]


def _undone(_action: PlannedAction) -> None:
    """Tell nobody."""


def _unheard(_ran: CleanupOutcome) -> None:
    """Tell nobody."""


@runtime_checkable
class RetentionService(Protocol):
    """Keeps a store to a policy. Sessions that are active or under a hold are never touched."""

    async def get_storage_usage(self) -> Outcome[StorageMetrics, RetentionError]:
        """Tell what the store holds.

        Fails with:
            StorageError: the store did not answer well.
        """
        ...

    async def plan_retention(
        self, policy: RetentionPolicy
    ) -> Outcome[RetentionPlan, RetentionError]:
        """Say what *policy* would do now, and why, in exact figures; nothing is changed.

        Fails with:
            InvalidPolicy: the policy cannot be followed.
            ArchiveMissing: it archives, and the service has no archive.
            StorageError: the store did not answer well.
        """
        ...

    async def run_retention(
        self, plan: RetentionPlan, *, done: Callable[[PlannedAction], None] = _undone
    ) -> CleanupOutcome:
        """Do what *plan* says; what cannot be done is among the result's errors.

        A session that changed since the plan was made is left alone, and told.

        Args:
            plan: what `plan_retention` said.
            done: told of each action that ended, well or not.

        Fails with:
            ArchiveMissing: it archives, and the service has no archive; nothing was done.
        """
        ...

    async def cleanup_continuous_data(self, retention_days: float) -> CleanupOutcome:
        """Delete the days of `continuous/` that ended so many days ago.

        Fails with:
            InvalidPolicy: that is no number of days.
            StorageError: the store did not answer well.
        """
        ...

    async def manage_session_data(self, session_id: str, policy: RetentionPolicy) -> CleanupOutcome:
        """Do to one session what *policy* says; the bound on the total size is not asked.

        Fails with:
            InvalidPolicy: the policy cannot be followed.
            ArchiveMissing: it archives, and the service has no archive.
            InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
            StorageError: the store did not answer well.
        """
        ...

    async def archive_old_sessions(self, older_than_days: float) -> CleanupOutcome:
        """Archive the sessions that ended so many days ago.

        Fails with:
            InvalidPolicy: that is no number of days.
            ArchiveMissing: the service has no archive.
            StorageError: the store did not answer well.
        """
        ...

    async def schedule_retention_jobs(
        self, policy: RetentionPolicy, *, ran: Callable[[CleanupOutcome], None] = _unheard
    ) -> Outcome[datetime, RetentionError]:
        """Follow *policy* by its schedule until the runtime closes; return the first run's time.

        A schedule that was there before ends. The log tells of each run.

        Args:
            policy: what is followed.
            ran: told how each run ended.

        Fails with:
            InvalidPolicy: the policy cannot be followed.
            ArchiveMissing: it archives, and the service has no archive.
        """
        ...


RetentionServiceTag: Final = Tag[RetentionService]("otlp_capture.RetentionService")


class _RetentionService:
    def __init__(
        self, storage: S3Storage, archive: S3Storage | None, clock: Clock, tasks: TaskGroup
    ) -> None:
        self._storage, self._archive, self._clock = storage, archive, clock
        self._tasks = tasks
        self._schedule: anyio.CancelScope | None = None

    async def get_storage_usage(self) -> Outcome[StorageMetrics, RetentionError]:
        surveyed = await survey_store(self._storage)
        return surveyed if isinstance(surveyed, Failure) else Success(metrics(surveyed.unwrap()))

    async def plan_retention(
        self, policy: RetentionPolicy
    ) -> Outcome[RetentionPlan, RetentionError]:
        checked = self._check(policy)
        if isinstance(checked, Failure):
            return checked
        surveyed = await survey_store(self._storage)
        if isinstance(surveyed, Failure):
            return surveyed
        return Success(make_plan(surveyed.unwrap(), policy, self._clock.time_ns()))

    async def run_retention(
        self, plan: RetentionPlan, *, done: Callable[[PlannedAction], None] = _undone
    ) -> CleanupOutcome:
        return await execute_plan(self._storage, self._archive, self._clock, plan, done=done)

    async def cleanup_continuous_data(self, retention_days: float) -> CleanupOutcome:
        checked = check_days("retention_days", retention_days)
        if isinstance(checked, Failure):
            return checked
        surveyed = await survey_continuous(self._storage)
        if isinstance(surveyed, Failure):
            return surveyed
        now_ns = self._clock.time_ns()
        return await self.run_retention(plan_continuous(surveyed.unwrap(), retention_days, now_ns))

    async def manage_session_data(self, session_id: str, policy: RetentionPolicy) -> CleanupOutcome:
        checked = self._check(policy)
        if isinstance(checked, Failure):
            return checked
        surveyed = await survey_session(self._storage, session_id)
        if isinstance(surveyed, Failure):
            return surveyed
        survey: StorageSurvey = surveyed.unwrap()
        return await self.run_retention(
            make_plan(survey, attrs.evolve(policy, max_total_bytes=None), self._clock.time_ns())
        )

    async def archive_old_sessions(self, older_than_days: float) -> CleanupOutcome:
        checked = check_days("older_than_days", older_than_days)
        if isinstance(checked, Failure):
            return checked
        if self._archive is None:
            return Failure(ArchiveMissing())
        surveyed = await survey_store(self._storage)
        if isinstance(surveyed, Failure):
            return surveyed
        now_ns = self._clock.time_ns()
        return await self.run_retention(plan_archiving(surveyed.unwrap(), older_than_days, now_ns))

    async def schedule_retention_jobs(
        self, policy: RetentionPolicy, *, ran: Callable[[CleanupOutcome], None] = _unheard
    ) -> Outcome[datetime, RetentionError]:
        checked = self._check(policy)
        if isinstance(checked, Failure):
            return checked
        expression = policy.continuous.cleanup_schedule
        due = next_run(expression, self._clock.time_ns())
        if isinstance(due, Failure):
            return due
        if self._schedule is not None:
            self._schedule.cancel()
        self._schedule = anyio.CancelScope()
        self._tasks.start_soon(self._follow, self._schedule, policy, ran)
        return Success(moment(due.unwrap()))

    async def _plan_and_run(self, policy: RetentionPolicy) -> CleanupOutcome:
        planned = await self.plan_retention(policy)
        if isinstance(planned, Failure):
            return planned
        return await self.run_retention(planned.unwrap())

    def _check(self, policy: RetentionPolicy) -> Outcome[None, InvalidPolicy | ArchiveMissing]:
        checked = check_policy(policy)
        if isinstance(checked, Failure):
            return checked
        archives = (
            policy.sessions.cleanup_enabled and policy.sessions.archive_after_days is not None
        )
        return Failure(ArchiveMissing()) if archives and self._archive is None else Success(None)

    async def _follow(
        self,
        schedule: anyio.CancelScope,
        policy: RetentionPolicy,
        ran: Callable[[CleanupOutcome], None],
    ) -> None:
        async def run() -> None:
            ended = await self._plan_and_run(policy)
            _tell(ended)
            ran(ended)

        with schedule:
            await run_by_schedule(self._clock, policy.continuous.cleanup_schedule, run)


def _tell(ended: CleanupOutcome) -> None:
    if isinstance(ended, Failure):
        _log.error("Retention did not run: %s", ended.failure().message)
        return
    result = ended.unwrap()
    for error in result.errors:
        _log.error("Retention left something: %s", error.message)
    _log.info(
        "Retention freed %d objects, %d bytes", result.deleted_objects, result.freed_space_bytes
    )


def retention_service(
    archive: Layer[StorageError] | None = None,
) -> Layer[StorageError | Miswired]:
    """Return the layer of a retention service.

    Args:
        archive: the layer of the store that sessions are archived to, such as
            `storage_from_url(url)` gives; None: nothing is archived.
    """

    async def open_retention(
        scope: Scope, storage: S3Storage, clock: Clock
    ) -> Outcome[RetentionService, StorageError | Miswired]:
        target: S3Storage | None = None
        if archive is not None:
            opened = await scope.enter(open_runtime(archive, S3StorageTag))
            if isinstance(opened, Failure):
                return opened
            (target,) = opened.unwrap()
        tasks = await scope.enter(anyio.create_task_group())
        scope.defer(tasks.cancel_scope.cancel)
        return Success(_RetentionService(storage, target, clock, tasks))

    return scoped(RetentionServiceTag, open_retention, S3StorageTag, ClockTag)


RetentionServiceLive: Final = retention_service()
"""The retention service without an archive."""
