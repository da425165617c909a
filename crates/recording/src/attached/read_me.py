"""Reads a Wavedeck recording: pip install mcap numpy, then: python read_me.py FILE.mcap"""
import json
import struct
import sys

import numpy as np
from mcap.exceptions import McapError
from mcap.records import Channel, Message
from mcap.stream_reader import StreamReader


def fields(message):
    """Yields number and value of each field of a protobuf message."""
    at = 0
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value
    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        else:
            size = {1: 8, 5: 4}.get(tag & 7) or varint()
            at += size
            yield tag >> 3, message[at - size:at]


def samples(batch, channels):
    """The samples of one message as an array of frames x channels, and the index of its first frame."""
    f = dict(fields(batch))
    if f.get(11, 0) == 1:
        planes = np.frombuffer(f[12], np.uint8).reshape(4, channels, -1)
        z = sum(plane.astype(np.uint32) << np.uint32(8 * i) for i, plane in enumerate(planes))
        delta = (z >> np.uint32(1)) ^ (np.uint32(0) - (z & np.uint32(1)))
        out = np.cumsum(delta, axis=1, dtype=np.uint32).view(np.int32).T
    else:
        out = np.frombuffer(f[4], "<i4") if f.get(4) else np.frombuffer(f.get(5, b""), "<f4")
        out = out.reshape(-1, channels)
    return f.get(2, 0), out


def read(path):
    """Yields stream name, its metadata, first index and samples, in the order of the file."""
    streams = {}
    with open(path, "rb") as file:
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                if isinstance(record, Channel) and record.topic.endswith("/data"):
                    streams[record.id] = record.topic.split("/")[1], record.metadata
                elif isinstance(record, Message) and record.channel_id in streams:
                    name, about = streams[record.channel_id]
                    yield name, about, *samples(record.data, int(about["n_channels"]))
        except (McapError, struct.error) as error:
            print("the file is cut or damaged here, all before is good:", repr(error), file=sys.stderr)


if __name__ == "__main__":
    for name, about, first_index, frames in read(sys.argv[1]):
        gains = [channel["gain"] for channel in json.loads(about["channels"])]
        print(name, first_index, frames.shape, (frames[0] * gains)[:4])
