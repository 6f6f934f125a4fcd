"""The client: create and join give a Job; its calls publish what becomes of it.

Only create, join and close wait or raise. Everything else is handed to the
publisher's own batches and printed as one line, and never raises.
"""

import functools
import json
import logging
import math
import os
import socket
import sys
import threading
import time
import uuid
from collections import namedtuple

from google.protobuf import json_format

from . import facts
from .messages import PACKAGE, JobEvent, PhaseEvent

Stage = namedtuple("Stage", "name ordinal kubernetes", defaults=(None,))
BACKEND = Stage("backend", 10)
FACE_DETECTION = Stage("face-detection", 20)
KUBERNETES = Stage("kubernetes", 30)
_WHOLE_JOB = Stage("", 2**31 - 1)  # of what is said of the job, and of no stage

_TOPICS = {JobEvent: ("job-events", "JobEvent", "job_event"), PhaseEvent: ("job-phases", "PhaseEvent", "phase_event")}
_LOG = logging.getLogger(__name__)
_PROGRESS_EVERY = 1.0  # seconds between two reports on one phase
# How far a clock may be set back, in microseconds, with the order of events kept. One
# that had been further ahead would hold what follows in a future that readers refuse.
_MAX_STEP_BACK = 60_000_000
_PREFIX = "resiliency.envision.dev/"


def _quiet(call):
    """Keeps whatever goes wrong in a report from the product code that made it."""

    @functools.wraps(call)
    def wrapped(*args, **kwargs):
        try:
            call(*args, **kwargs)
        except Exception:  # noqa: BLE001  see above
            _LOG.warning("%s went wrong; the event is lost", call.__name__, exc_info=True)

    return wrapped


class Client:
    """Reports on jobs; without a project it only checks what it is given."""

    def __init__(self, project=None, publisher=None, out=None, instance=None, reporter=None):
        if project and publisher is None:
            from google.cloud import pubsub_v1  # only who publishes needs it

            publisher = pubsub_v1.PublisherClient()
        self._project, self._publisher = project, publisher
        self._out = out or sys.stdout
        self.reporter = facts.cut(reporter or socket.gethostname(), 256)
        self.base = facts.sequence_base(instance or str(uuid.uuid4()))
        self._pending, self._lock = set(), threading.Lock()

    @classmethod
    def from_environment(cls, **options):
        return cls(os.environ.get("RESILIENCY_PROJECT_ID"), reporter=os.environ.get("RESILIENCY_POD"), **options)

    def create(self, job_id, attempt=1, correlation_id="", owner="", tenant="", output_uri="", stage=BACKEND, timeout=30,
               traceparent=""):
        """Announces a job and returns once Pub/Sub has confirmed it, or raises."""
        facts.check(job_id, attempt, {"correlation id": correlation_id, "owner": owner, "tenant": tenant}, output_uri)
        job = Job(self, job_id, attempt, correlation_id, stage, traceparent=facts.traceparent(traceparent),
                  owner=owner, output_uri=output_uri)
        described = {"owner": owner, "tenant": tenant, "output_uri": output_uri}
        event = job._claim_event({"state": "JOB_STATE_PENDING"}, job.stage)
        event["description"] = {k: v for k, v in described.items() if v}
        if self._project:
            message = json_format.ParseDict(event, JobEvent())
            self._publish(message, job._traceparent).result(timeout=timeout)
            self._print(message, event)
            job._note("job.created", sequence=0)
        return job

    def join(self, job_id, attempt=1, correlation_id="", stage=BACKEND, in_pod=False, traceparent="", tracestate=""):
        """Takes up a job that another process has created: join(**ref). tracestate is not carried on."""
        facts.check(job_id, attempt, {"correlation id": correlation_id})
        return Job(self, job_id, attempt, correlation_id, stage, in_pod, facts.traceparent(traceparent))

    def join_from_environment(self):
        """Takes up, inside a container of a Kubernetes Job, the job that its environment names."""
        get = lambda name: os.environ.get("RESILIENCY_" + name, "")  # noqa: E731
        job = {"cluster": get("CLUSTER"), "namespace": get("NAMESPACE"),
               "name": get("KUBERNETES_JOB"), "uid": get("KUBERNETES_JOB_UID")}
        stage = KUBERNETES._replace(kubernetes={k: v for k, v in job.items() if v} or None)
        return self.join(get("JOB_ID"), int(get("ATTEMPT") or 1), get("CORRELATION_ID"), stage, in_pod=True,
                         traceparent=os.environ.get("TRACEPARENT", ""))

    def close(self, timeout=10):
        """Waits until Pub/Sub has what was published; returns how many events it does not have."""
        deadline = time.monotonic() + timeout
        with self._lock:
            pending = list(self._pending)
        lost = 0
        for future in pending:
            try:
                future.result(timeout=max(0, deadline - time.monotonic()))
            except Exception:  # noqa: BLE001  whatever it is, the event is lost
                lost += 1
        return lost

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @_quiet
    def send(self, kind, event, traceparent):
        """Prints an event and publishes it in the background; never raises."""
        if not self._project:
            return
        message = json_format.ParseDict(event, kind())
        self._print(message, event)
        future = self._publish(message, traceparent)
        with self._lock:
            self._pending.add(future)
        future.add_done_callback(self._settled)

    def _settled(self, future):
        with self._lock:
            self._pending.discard(future)
        if future.exception() is not None:
            _LOG.warning("an event is lost: %s", future.exception())

    def _publish(self, message, traceparent):
        topic, name, _ = _TOPICS[type(message)]
        attributes = {"type": PACKAGE + name, "event_id": message.event_id, "job_id": message.job_id}
        if message.correlation_id:
            attributes["correlation_id"] = message.correlation_id
        if traceparent:
            attributes["traceparent"] = traceparent
        path = f"projects/{self._project}/topics/{topic}"
        return self._publisher.publish(path, message.SerializeToString(), **attributes)

    def _print(self, message, event):
        _, _, field = _TOPICS[type(message)]
        line = {"severity": "INFO", "timestamp": event["occurred_at"], "message": f"{field} of job {message.job_id}",
                "event_id": message.event_id, "job_id": message.job_id,
                field: json_format.MessageToDict(message, preserving_proto_field_name=True)}
        try:
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()
        except (OSError, ValueError):  # a log that is gone must not cost the message
            _LOG.warning("the line of event %s is lost", message.event_id, exc_info=True)


class Job:
    """One run of a job, as far as this process works on it."""

    def __init__(self, client, job_id, attempt, correlation_id, stage, in_pod=False, traceparent="", owner="", output_uri=""):
        self._traceparent, self._owner, self._output_uri = traceparent, owner, output_uri
        self._client, self.id, self.attempt, self.correlation_id = client, job_id, attempt, correlation_id
        self.stage, self._in_pod, self._entered = stage._replace(name=facts.stage_name(stage.name)), in_pod, None
        self._count, self._last, self._lock = 0, 0, threading.Lock()

    def ref(self):
        """Names the run, for the product to pass to the next process, as JSON say; empty values are left out."""
        ref = {"job_id": self.id, "attempt": self.attempt, "correlation_id": self.correlation_id,
               "traceparent": self._traceparent}
        return {k: v for k, v in ref.items() if v}

    def labels(self):
        """What a Kubernetes Job and its pods must carry to be followed."""
        return {_PREFIX + "job-id": self.id}

    def annotations(self):
        """What a Kubernetes Job and its pods should carry."""
        known = {"attempt": str(self.attempt), "correlation-id": self.correlation_id, "owner": self._owner,
                 "output-uri": self._output_uri, "traceparent": self._traceparent}
        return {_PREFIX + k: v for k, v in known.items() if v}

    @_quiet
    def enter(self, stage):
        """Says that the job is in a stage, and ends the one that this process was in; in a pod it is a step."""
        self._leave()
        self.stage = stage._replace(name=facts.stage_name(stage.name))
        if stage.kubernetes and not self._in_pod:
            self._claim({"state": "JOB_STATE_PENDING"})
            self._note("job.handed-over")
            return
        # A claim about a later stage would outrank the condition of the pod's own Job.
        if not self._in_pod or self.stage[:2] == KUBERNETES[:2]:
            self._claim({"state": "JOB_STATE_RUNNING"})
        self._entered = self.phase("stage")

    def phase(self, name):
        """Begins a step; use it in a with statement, or call its end or fail."""
        phase = Phase(self, facts.cut(name, 128) or "unnamed", self._number())
        phase._send("start", started={})
        return phase

    @_quiet
    def done(self):
        """Says that the stage ended well and the job goes on in another."""
        self._leave()
        if not self._in_pod:
            self._claim({"state": "JOB_STATE_RUNNING", "stage_done": True})

    @_quiet
    def succeed(self):
        """Says that the whole job ended well; in a pod the Kubernetes Job says so itself."""
        self._leave()
        if self._in_pod:
            self._note("job.pod-succeeded")
        else:
            self._claim({"state": "JOB_STATE_SUCCEEDED", "evidence": "EVIDENCE_STATED"})

    @_quiet
    def fail(self, message, cause="OTHER"):
        """Says that the whole job failed; in a pod it is a step, for the pod may run again."""
        cause = _cause(message, cause)
        self._leave(cause)
        if self._in_pod:
            self._note("job.pod-failed", cause)
        else:
            self._claim({"state": "JOB_STATE_FAILED", "evidence": "EVIDENCE_STATED", "cause": cause,
                         "detail": cause["message"]})

    @_quiet
    def cancel(self, reason=""):
        """Says that somebody wished the job to end, in whatever stage it is; in a pod it does nothing."""
        if self._in_pod:
            return
        cause = _cause(reason, "USER")
        self._leave(cause, "CANCELLED")
        self._claim({"state": "JOB_STATE_CANCELLED", "evidence": "EVIDENCE_STATED", "cause": cause,
                     "detail": cause["message"]}, _WHOLE_JOB)

    def _leave(self, cause=None, outcome="FAILED"):
        entered, self._entered = self._entered, None
        if entered:
            entered._end(outcome if cause else "SUCCEEDED", cause)

    def _claim(self, status, stage=None):
        self._client.send(JobEvent, self._claim_event(status, stage or self.stage), self._traceparent)

    def _claim_event(self, status, stage):
        name = "STAGE_DONE" if status.get("stage_done") else status["state"].replace("JOB_STATE_", "")
        event = self._head(stage, name, "state", 0)
        event["status_observed"] = status
        if stage.kubernetes:
            event["kubernetes"] = {k: facts.cut(v, 253) for k, v in stage.kubernetes.items()}
        return event

    def _note(self, name, cause=None, sequence=None):
        noted = {"level": "NOTE_LEVEL_ERROR" if cause else "NOTE_LEVEL_INFO"}
        if cause:
            noted["cause"] = cause
        if self.stage.kubernetes:
            noted["kubernetes"] = {k: facts.cut(v, 253) for k, v in self.stage.kubernetes.items()}
        number = self._number()
        phase = Phase(self, name, number if sequence is None else sequence)
        phase._send("note", message=cause["message"] if cause else "", noted=noted)

    def _head(self, stage, name, what, *numbers):
        with self._lock:
            micros = time.time_ns() // 1000
            if micros <= self._last <= micros + _MAX_STEP_BACK:
                micros = self._last + 1
            self._last = micros
        return {"event_id": facts.event_id(self.id, self.attempt, stage.name, name, what, *numbers),
                "occurred_at": facts.rfc3339(micros), "job_id": self.id, "attempt": self.attempt,
                "stage": {"name": stage.name, "ordinal": max(int(stage.ordinal), 0)},
                "correlation_id": self.correlation_id, "source": "SOURCE_SDK", "reporter": self._client.reporter}

    def _number(self):
        with self._lock:
            self._count += 1
            return self._client.base + self._count - 1


class Phase:
    """A step that has begun; in a with statement an exception fails it."""

    def __init__(self, job, name, sequence):
        self._job, self._stage, self._name, self._sequence = job, job.stage, name, sequence
        self._ended, self._reported, self._reports, self._unsaid = False, -math.inf, 0, None

    @_quiet
    def progress(self, done, total=0, unit=""):
        """Tells how far the phase is; at most one event a second, and always the last."""
        if self._ended or not math.isfinite(done):
            return
        total = total if math.isfinite(total) else 0
        self._unsaid = {"done": max(done, 0), "total": max(total, 0), "unit": facts.cut(unit, 63)}
        if time.monotonic() - self._reported >= _PROGRESS_EVERY:
            self._reported = time.monotonic()
            self._report()

    @_quiet
    def end(self):
        self._end("SUCCEEDED")

    @_quiet
    def fail(self, message, cause="OTHER"):
        self._end("FAILED", _cause(message, cause))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind:
            self.fail(f"{kind.__name__}: {error}", "OTHER")
        else:
            self.end()

    def _report(self):
        progress, self._unsaid = self._unsaid, None
        self._send("progress", self._reports, progressed=progress)
        self._reports += 1

    def _end(self, outcome, cause=None):
        if self._ended:
            return
        self._ended = True
        if self._unsaid:
            self._report()
        ended = {"outcome": "PHASE_OUTCOME_" + outcome}
        if cause:
            ended["cause"] = cause
        self._send("end", message=cause["message"] if cause else "", ended=ended)

    def _send(self, what, *numbers, message="", **event):
        head = self._job._head(self._stage, self._name, what, self._sequence, *numbers)
        head.update(name=self._name, sequence=str(self._sequence), message=message, **event)
        self._job._client.send(PhaseEvent, head, self._job._traceparent)


def _cause(message, cause):
    known = {value.name for value in JobEvent.DESCRIPTOR.file.pool.FindEnumTypeByName(PACKAGE + "Cause").values}
    name = "CAUSE_" + str(cause)
    return {"cause": name if name in known else "CAUSE_OTHER", "message": facts.cut(message, 1024)}
