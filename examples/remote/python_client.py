"""Takes every sample of a stream of a running Wavedeck, and says what came.

    pip install websockets numpy
    wavedeck run configs/demo.json --headless --listen 9300
    python python_client.py --stream clean.out --seconds 10 --set clean.notch_hz=60 --record trial --marker "eyes open"

Ends with 0 when not one sample was missed, with 1 otherwise. The protocol is in docs/remote.md.
"""
import argparse
import itertools
import json
import pathlib
import struct
import sys
import time

import numpy as np
from websockets.sync.client import connect

HEAD = struct.Struct("<2sBBHHIQQQI")  # 40 bytes, without gaps
TYPES = {1: np.dtype("<i4"), 2: np.dtype("<f4"), 3: np.dtype("<f4")}  # counts, values, spectra


class Refused(Exception):
    """The port refused a call: an error of JSON-RPC."""


class Wavedeck:
    """A connection: calls, and the frames that came meanwhile."""

    def __init__(self, socket):
        self.socket = socket
        self.ids = itertools.count(1)
        self.frames = []
        self.notifications = []

    def call(self, method, **params):
        """Calls a method and waits for its answer."""
        request = next(self.ids)
        self.socket.send(json.dumps({"jsonrpc": "2.0", "id": request, "method": method, "params": params}))
        while True:
            answer = self._receive(timeout=10)
            if answer is not None and answer.get("id") == request:
                break
        if "error" in answer:
            raise Refused(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def wait_for_frame(self, timeout):
        """The next frame of samples."""
        end = time.monotonic() + timeout
        while not self.frames:
            self._receive(timeout=max(0.0, end - time.monotonic()))
        return self.frames.pop(0)

    def _receive(self, timeout):
        """Takes one message: an answer is given back, the rest is kept."""
        message = self.socket.recv(timeout=timeout)
        if isinstance(message, bytes):
            self.frames.append(Frame(message))
            return None
        message = json.loads(message)
        if "method" in message:
            self.notifications.append(message)
            return None
        return message


class Frame:
    """A binary message: 40 bytes that say what it is, then the values frame by frame."""

    def __init__(self, message):
        (magic, version, kind, self.subscription, self.channels, self.frames, self.seq, self.first_sample, self.unix_ns,
         self.missed) = HEAD.unpack_from(message)
        if magic != b"WD" or version != 1:
            raise ValueError(f"a frame of version 1 was expected, got {message[:3]!r}")
        # One row for each moment. A spectrum has `bins` values for each channel.
        self.values = np.frombuffer(message, TYPES[kind], offset=HEAD.size).reshape(self.frames, -1)


class Continuity:
    """Counts what is missing between frames."""

    def __init__(self):
        self.next_sample = None
        self.next_seq = 0
        self.missing = 0
        self.dropped = 0

    def look_at(self, frame):
        if frame.seq != self.next_seq:
            raise ValueError(f"frame {self.next_seq} was expected, got {frame.seq}")
        if self.next_sample is not None:
            self.missing += frame.first_sample - self.next_sample
        self.next_seq = frame.seq + 1
        self.next_sample = frame.first_sample + frame.frames
        self.dropped = frame.missed


def parsed():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--url", default="ws://127.0.0.1:9300/ws")
    arguments.add_argument("--token-file", type=pathlib.Path, help="what the port was started with")
    arguments.add_argument("--stream", default="board.out")
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--set", metavar="STAGE.KEY=VALUE", help="changes a parameter first")
    arguments.add_argument("--record", metavar="NAME", help="records meanwhile")
    arguments.add_argument("--marker", metavar="LABEL", help="marks the middle; needs a recording")
    arguments.add_argument("--save", type=pathlib.Path, metavar="FILE.npz", help="writes the samples and their indexes")
    return arguments.parse_args()


def set_parameter(deck, text):
    place, value = text.split("=", 1)
    stage, key = place.split(".", 1)
    try:
        value = json.loads(value)
    except ValueError:
        pass  # a text, such as `uV`
    done = deck.call("param.set", stage_id=stage, key=key, value=value)
    print(f"{stage}.{key} is {done['value']} from sample {done['at_sample']} on")


def take(deck, arguments):
    """The samples of some seconds with the index of each, and what is known of them."""
    continuity, indexes, values = Continuity(), [], []
    subscribed = deck.call("stream.subscribe", stream=arguments.stream)
    if arguments.record:
        deck.call("record.start", name=arguments.record)
    marker = arguments.marker
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < arguments.seconds:
        if marker and elapsed > arguments.seconds / 2:
            deck.call("marker.add", label=marker)
            marker = None
        frame = deck.wait_for_frame(timeout=10)
        continuity.look_at(frame)
        indexes.append(frame.first_sample + np.arange(frame.frames))
        values.append(frame.values)
    deck.call("stream.unsubscribe", subscription=subscribed["subscription"])
    if arguments.record:
        deck.call("record.stop")
    return subscribed["description"], np.concatenate(indexes), np.concatenate(values), elapsed, continuity


def main():
    arguments = parsed()
    token = arguments.token_file.read_text().strip() if arguments.token_file else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with connect(arguments.url, additional_headers=headers, max_size=None) as socket:
        deck = Wavedeck(socket)
        deck.call("client.name", name="python_client")
        if arguments.set:
            set_parameter(deck, arguments.set)
        description, indexes, values, elapsed, continuity = take(deck, arguments)
    if arguments.save:
        np.savez(arguments.save, indexes=indexes, values=values)

    rate = description["rate"]["hz"]
    count = len(indexes)
    print(f"{count} samples from {indexes[0]} on in {elapsed:.1f} s: {count / elapsed:.1f} Hz of {rate} Hz")
    per_channel = np.array_split(values.astype(np.float64), len(description["channels"]), axis=1)
    for channel, column in zip(description["channels"], per_channel):
        column = column * channel["scale"] + channel["offset"]
        print(f"{channel['name']:>8}  rms {np.sqrt(np.mean(column ** 2)):12.3f} {channel['unit']}")
    print(f"missing {continuity.missing}, dropped on the way {continuity.dropped}")
    return 1 if continuity.missing or continuity.dropped else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, OSError, TimeoutError) as error:
        sys.exit(f"python_client: {error}")
