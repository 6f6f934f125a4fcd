"""A publisher over bare gRPC for machines without google-cloud-pubsub, such as a
Debian with python3-grpcio: the emulator's wire is the real one."""

import os

import grpc


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(n):
    out = b""
    while n > 0x7F:
        out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
    return out + bytes([n])


class Publisher:
    """Has the one method of google.cloud.pubsub_v1.PublisherClient that the SDK calls."""

    def __init__(self):
        channel = grpc.insecure_channel(os.environ["PUBSUB_EMULATOR_HOST"])
        self._call = channel.unary_unary("/google.pubsub.v1.Publisher/Publish")

    def publish(self, topic, data, **attributes):
        message = _field(1, data)
        for key, value in attributes.items():
            message += _field(2, _field(1, key.encode()) + _field(2, value.encode()))
        return self._call.future(_field(1, topic.encode()) + _field(2, message))


def publisher():
    """google-cloud-pubsub where there is one, else the above."""
    try:
        from google.cloud import pubsub_v1
    except ImportError:
        return Publisher()
    return pubsub_v1.PublisherClient()
