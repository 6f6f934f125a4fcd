"""The messages of the contract, made at import from contract.binpb.

That file is generated from proto/ by `make gen`. Classes made from descriptors
work with every release of protobuf since 3.20, where generated modules demand a
runtime of their own release or the next.
"""

from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import timestamp_pb2  # noqa: F401  the contract imports it

PACKAGE = "envision.resiliency.v1."


def _load():
    pool = descriptor_pool.Default()
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString(Path(__file__).with_name("contract.binpb").read_bytes())
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _load()


def message(name):
    """The class of a message of the contract, such as JobEvent."""
    descriptor = _POOL.FindMessageTypeByName(PACKAGE + name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(_POOL).GetPrototype(descriptor)


JobEvent = message("JobEvent")
PhaseEvent = message("PhaseEvent")
