"""The story that Go reads back and compares with its own: see python_integration_test.go."""

import os
import sys

from envision_resiliency import BACKEND, FACE_DETECTION, KUBERNETES, Client
from grpc_publisher import publisher


def main():
    client = Client(os.environ["RESILIENCY_PROJECT_ID"], publisher(), instance="instance-1", reporter="test")
    job = client.create("py-1", correlation_id="req-é", owner="ann", tenant="acme", output_uri="gs://bucket/out/")
    job.enter(BACKEND)
    job.phase("validate").end()
    job.done()

    job = client.join("py-1", correlation_id="req-é", traceparent=os.environ["TRACEPARENT"])
    job.enter(FACE_DETECTION)
    with job.phase("detect") as phase:
        phase.progress(3, 10, "frames")
        phase.progress(10, 10, "frames")
    try:
        with job.phase("load-model"):
            raise OSError("no such file")
    except OSError:
        pass
    job.done()
    job._traceparent = ""  # the cluster has no trace of its own
    job.enter(KUBERNETES._replace(kubernetes={"cluster": "batch-1", "namespace": "etl", "name": "py-1", "uid": "uid-1"}))

    job = client.join("py-2", attempt=3, in_pod=True, stage=KUBERNETES)
    job.fail("CUDA error", "OOM")
    client.join("py-3").fail("\ud800 broken \x00" + "x" * 5000, "NO_SUCH_CAUSE")
    job = client.join("py-4")
    job.enter(BACKEND._replace(name="Stage of <mine>", ordinal=-3))
    job.succeed()
    job = client.join("py-5")
    job.enter(BACKEND)
    job.cancel("not needed any more")
    job = client.join("py-6", in_pod=True, stage=KUBERNETES)
    job.enter(KUBERNETES)
    job.enter(KUBERNETES._replace(name="postprocess", ordinal=40))
    job.succeed()
    return client.close(timeout=20)


if __name__ == "__main__":
    sys.exit(main())
