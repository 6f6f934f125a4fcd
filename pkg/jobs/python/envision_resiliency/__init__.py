"""Reports what becomes of a job: the SDK of Envision Resiliency for Python."""

from .client import BACKEND, FACE_DETECTION, KUBERNETES, Client, Job, Phase, Stage

__all__ = ["BACKEND", "FACE_DETECTION", "KUBERNETES", "Client", "Job", "Phase", "Stage"]
