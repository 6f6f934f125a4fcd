"""What needs no Pub/Sub: python3 -m unittest discover tests."""

import io
import json
import unittest
from concurrent.futures import Future
from unittest import mock

from envision_resiliency import BACKEND, KUBERNETES, Client, Stage
from envision_resiliency.messages import JobEvent, PhaseEvent


class Fake:
    """A publisher that keeps, refuses or never answers."""

    def __init__(self, error=None, answers=True):
        self.sent, self._error, self._answers = [], error, answers

    def publish(self, topic, data, **attributes):
        self.sent.append((topic, data, attributes))
        future = Future()
        if self._error:
            future.set_exception(self._error)
        elif self._answers:
            future.set_result("id")
        return future


class Broken:
    """A publisher and a log that only raise."""

    def publish(self, *_, **__):
        raise RuntimeError("broken")

    def write(self, _):
        raise OSError("broken")


def client(publisher, out=None):
    return Client("p", publisher, out or io.StringIO(), "instance-1", "test")


class ClientTest(unittest.TestCase):
    def test_create_is_confirmed_or_raises(self):
        fake = Fake()
        client(fake).create("j-1", correlation_id="req-1")
        topic, data, attributes = fake.sent[0]
        self.assertEqual(topic, "projects/p/topics/job-events")
        self.assertEqual(JobEvent.FromString(data).job_id, "j-1")
        self.assertEqual(attributes["type"], "envision.resiliency.v1.JobEvent")
        self.assertEqual(attributes["correlation_id"], "req-1")
        with self.assertRaises(ConnectionError):
            client(Fake(ConnectionError())).create("j-1")
        with self.assertRaises(Exception):
            client(Fake(answers=False)).create("j-1", timeout=0.01)

    def test_what_names_no_job_is_refused(self):
        for unset in (client(Fake()), Client()):
            for arguments in ({"job_id": ""}, {"job_id": "a/b"}, {"job_id": "x" * 64}, {"job_id": 7}, {"job_id": "j\n"},
                              {"job_id": "j", "attempt": 0}, {"job_id": "j", "attempt": 101}, {"job_id": "j", "attempt": "1"},
                              {"job_id": "j", "correlation_id": "a\nb"}, {"job_id": "j", "correlation_id": "x" * 257}):
                with self.assertRaises(ValueError, msg=str(arguments)):
                    unset.create(**arguments)
                with self.assertRaises(ValueError, msg=str(arguments)):
                    unset.join(**arguments)

    def test_output_is_a_prefix_in_a_bucket(self):
        for unset in (client(Fake()), Client()):
            for uri in ("s3://x", "s3://bucket/out/", "gs://bucket/out", "gs://", "gs:///out/", "bucket/out/", "gs://b/\n/", "gs://[/",
                        "gs://b/" + "x" * 1024 + "/", "gs://b/\ud800/", 7, None):
                with self.assertRaises(ValueError, msg=repr(uri)):
                    unset.create("j", output_uri=uri)
            unset.create("j", output_uri="gs://bucket/out/")

    def test_time_never_goes_back(self):
        self.assertEqual(self._times(100, 99, 99, 41, 41), [100_000_000, 100_000_001, 100_000_002, 100_000_003, 100_000_004])

    def test_time_follows_a_corrected_clock(self):
        self.assertEqual(self._times(3700, 100, 101), [3_700_000_000, 100_000_000, 101_000_000])

    def _times(self, *clock):
        """The times of events, in microseconds, that are sent as the clock shows these seconds."""
        fake = Fake()
        job = client(fake).join("j")
        with mock.patch("envision_resiliency.client.time.time_ns", side_effect=[s * 10**9 for s in clock]):
            for _ in clock:
                job.phase("p")
        times = [PhaseEvent.FromString(data).occurred_at for _, data, _ in fake.sent]
        return [at.seconds * 1_000_000 + at.nanos // 1000 for at in times]

    def test_cancel_is_about_the_whole_job(self):
        fake = Fake()
        c = client(fake)
        job = c.join("j")
        job.enter(BACKEND)
        job.cancel("not needed any more")
        ended, claim = PhaseEvent.FromString(fake.sent[-2][1]).ended, JobEvent.FromString(fake.sent[-1][1])
        self.assertEqual((ended.outcome, ended.cause.message), (3, "not needed any more"))
        self.assertEqual((claim.stage.name, claim.stage.ordinal), ("", 2**31 - 1))
        self.assertEqual((claim.status_observed.state, claim.status_observed.detail), (6, "not needed any more"))
        sent = len(fake.sent)
        c.join("j", in_pod=True, stage=KUBERNETES).cancel("it is not the pod's to say")
        self.assertEqual(len(fake.sent), sent)

    def test_in_a_pod_the_job_of_kubernetes_has_the_last_word(self):
        for stage, claims in ((KUBERNETES, 1), (Stage("postprocess", 40), 0), (BACKEND, 0), (Stage("kubernetes", 31), 0)):
            fake = Fake()
            client(fake).join("j", stage=KUBERNETES, in_pod=True).enter(stage)
            topics = [topic.rsplit("/", 1)[1] for topic, _, _ in fake.sent]
            self.assertEqual((topics.count("job-events"), topics.count("job-phases")), (claims, 1), msg=str(stage))

    def test_what_the_next_process_needs(self):
        parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        fake = Fake()
        c = client(fake)
        job = c.create("j-1", 2, "req-1", "ann", "acme", "gs://b/out/", traceparent=parent)
        self.assertEqual(job.labels(), {"resiliency.envision.dev/job-id": "j-1"})
        self.assertEqual(job.annotations(), {
            "resiliency.envision.dev/attempt": "2", "resiliency.envision.dev/correlation-id": "req-1",
            "resiliency.envision.dev/owner": "ann", "resiliency.envision.dev/output-uri": "gs://b/out/",
            "resiliency.envision.dev/traceparent": parent})
        self.assertEqual({attributes["traceparent"] for _, _, attributes in fake.sent}, {parent})
        self.assertEqual(json.loads(json.dumps(job.ref())),
                         {"job_id": "j-1", "attempt": 2, "correlation_id": "req-1", "traceparent": parent})
        self.assertEqual(c.join(**job.ref()).ref(), job.ref())
        self.assertEqual(c.join(**job.ref(), tracestate="vendor=1").ref(), job.ref())  # as Go passes it on
        self.assertEqual(c.join("j").annotations(), {"resiliency.envision.dev/attempt": "1"})

    def test_not_configured_does_nothing(self):
        out = io.StringIO()
        unset = Client(out=out)
        job = unset.create("j")
        job.enter(BACKEND)
        with job.phase("p") as phase:
            phase.progress(1)
        job.fail("x")
        self.assertEqual((out.getvalue(), unset.close()), ("", 0))

    def test_product_code_never_fails(self):
        with self.assertLogs("envision_resiliency", "WARNING"):
            job = client(Broken(), Broken()).join("j")
            job.enter(BACKEND)
            job.enter("no stage")
            with job.phase(None) as phase:
                phase.progress("many")
                phase.progress(float("nan"))
                phase.progress(float("inf"), float("nan"))
            job.fail(ValueError("x"), cause=object())
            job.cancel(object())
            job.succeed()
            job.done()

    def test_a_line_for_each_event(self):
        fake, out = Fake(), io.StringIO()
        with client(fake, out) as c:
            job = c.create("j")
            job.phase("p").end()
            job.succeed()
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        self.assertEqual(len(lines), len(fake.sent))
        for line in lines:
            event = line.get("job_event") or line["phase_event"]
            self.assertEqual((line["job_id"], line["event_id"]), ("j", event["event_id"]))

    def test_an_exception_fails_the_phase_and_passes(self):
        fake = Fake()
        with self.assertRaises(KeyError):
            with client(fake).join("j").phase("p"):
                raise KeyError("k")
        ended = PhaseEvent.FromString(fake.sent[-1][1]).ended
        self.assertEqual(ended.outcome, 2)
        self.assertIn("KeyError", ended.cause.message)

    def test_progress_is_bounded_and_the_last_word_is_sent(self):
        fake = Fake()
        with client(fake).join("j").phase("p") as phase:
            for n in range(10_000):
                phase.progress(n + 1, 10_000, "frames")
        said = [PhaseEvent.FromString(data).progressed.done for _, data, _ in fake.sent[1:-1]]
        self.assertLess(len(said), 20)
        self.assertEqual(said[-1], 10_000)

    def test_close_counts_what_is_lost(self):
        c = client(Fake(answers=False))
        c.join("j").phase("p").end()
        self.assertEqual(c.close(timeout=0.01), 2)


if __name__ == "__main__":
    unittest.main()
