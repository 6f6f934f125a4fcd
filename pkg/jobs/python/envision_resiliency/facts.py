"""What the SDK in Go and the one in Python must say alike: ids, names, texts."""

import hashlib
import re
import uuid
from datetime import datetime, timezone
from urllib.parse import urlsplit

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/envision/resiliency/events")
_ID = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def event_id(*parts):
    """The id of a fact: UUIDv5 over its parts, each with its length in bytes."""
    texts = [str(part) for part in parts]
    return str(uuid.uuid5(_NAMESPACE, "".join(f"{len(t.encode())}:{t}" for t in texts)))


def sequence_base(instance):
    """Where the sequences of an instance begin: 33 bits of it above 20 for counting."""
    return (int.from_bytes(hashlib.sha256(instance.encode()).digest()[:8], "big") >> 31) << 20


def check(job_id, attempt, names, output_uri=""):
    """Raises ValueError on what names no run of a job."""
    if not isinstance(job_id, str) or not _ID.fullmatch(job_id):
        raise ValueError(f"job id {str(job_id)[:126]!r} is no Kubernetes label value")
    if not isinstance(attempt, int) or not 1 <= attempt <= 100:
        raise ValueError(f"attempt {attempt!r} is not between 1 and 100")
    for name, text in names.items():
        if not isinstance(text, str) or not text.isprintable() or len(text.encode()) > 256:
            raise ValueError(f"the {name} is longer than 256 bytes or not printable")
    if output_uri != "" and not _is_output(output_uri):
        raise ValueError("the output URI is not of the form gs://bucket/prefix/")


def _is_output(text):
    if not isinstance(text, str) or not text.isprintable() or len(text.encode()) > 1024:
        return False
    try:
        uri = urlsplit(text)
    except ValueError:
        return False
    return uri.scheme == "gs" and uri.netloc != "" and uri.path.endswith("/")


def traceparent(text):
    """A W3C traceparent of version 00, or nothing."""
    return text if re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]", text) else ""


def cut(text, limit):
    """Valid UTF-8 of at most limit bytes, whatever text is."""
    return str(text).encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def stage_name(text):
    """A name that is a label value, for whatever was meant as one."""
    text = cut(text, 63)
    if text == "" or _ID.fullmatch(text):
        return text
    return re.sub(r"[^-A-Za-z0-9_.]", "-", text).strip("-_.") or "unnamed"


def rfc3339(micros):
    """A moment in microseconds of Unix time, as protobuf's JSON has it."""
    seconds, rest = divmod(micros, 1_000_000)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:06d}Z"
