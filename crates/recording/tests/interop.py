"""Checks a recording against its CSV export with the official Python MCAP reader.

    pip install mcap mcap-protobuf-support numpy
    python interop.py FILE.mcap TABLE.csv [STREAM]

TABLE.csv must hold counts if the stream is one of counts. The samples are decoded by the read_me.py that the
recording carries; plain samples are decoded by mcap-protobuf-support as well, from the schema in the file.
"""
import csv
import json
import sys
import types

import numpy as np
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory


def carried_reader(path):
    """The module read_me.py from within the recording."""
    with open(path, "rb") as file:
        attachments = {a.name: a.data for a in make_reader(file).iter_attachments()}
    assert {"pipeline.json", "README.txt", "read_me.py"} <= attachments.keys(), attachments.keys()
    json.loads(attachments["pipeline.json"])
    module = types.ModuleType("read_me")
    exec(compile(attachments["read_me.py"], "read_me.py", "exec"), module.__dict__)
    return module


def decoded_by_read_me(path, stream):
    """Sample index, and samples of all channels, in the order of the file."""
    batches = [(first, data) for name, _, first, data in carried_reader(path).read(path) if name == stream]
    indices = [first + np.arange(len(data)) for first, data in batches]
    return np.concatenate(indices), np.concatenate([data for _, data in batches])


def decoded_by_protobuf(path, stream, channels):
    """The same by the schema in the file, for messages whose samples are plain; checks all messages' scalars."""
    indices, samples, seen = [], [], 0
    with open(path, "rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for _, _, message, batch in reader.iter_decoded_messages(topics=[f"/{stream}/data"]):
            assert batch.t0_ns == message.log_time == message.publish_time
            if batch.codec == 0:
                data = np.array(batch.counts or batch.values).reshape(-1, channels)
                assert len(data) == batch.n_frames
                indices.append(batch.first_index + np.arange(batch.n_frames))
                samples.append(data)
            else:
                assert len(batch.data) == 4 * batch.n_frames * channels
            seen += batch.n_frames
        previews = sum(1 for _ in reader.iter_decoded_messages(topics=[f"/{stream}/preview"]))
    assert previews > 0, "no preview"
    return seen, (np.concatenate(indices), np.concatenate(samples)) if samples else None


def table(path, channels, dtype):
    """Sample index, and samples of all channels, as the CSV has them."""
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["sample", "time_s"] and rows[0][-1] == "marker", rows[0]
    assert len(rows[0]) == channels + 3, rows[0]
    indices = np.array([int(row[0]) for row in rows[1:]])
    return indices, np.array([row[2:-1] for row in rows[1:]]).astype(np.float64).astype(dtype)


def check_summary(path):
    """The seeking reader must find everything through the summary; returns the streams' metadata."""
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        messages = sum(1 for _ in reader.iter_messages())
        metadata = {m.name: m.metadata for m in reader.iter_metadata()}
    assert summary and summary.statistics, "no summary"
    assert summary.statistics.message_count == messages, (summary.statistics.message_count, messages)
    assert {"recording", "ledger"} <= metadata.keys(), metadata.keys()
    data = [c for c in summary.channels.values() if c.topic.endswith("/data")]
    ledger = {s["stream"]: s for s in json.loads(metadata["ledger"]["json"])["streams"]}
    return {c.topic.split("/")[1]: c.metadata for c in data}, ledger


def same(left, right):
    return np.array_equal(left[0], right[0]) and np.array_equal(left[1], right[1], equal_nan=left[1].dtype.kind == "f")


def main(path, csv_path, stream=None):
    streams, ledger = check_summary(path)
    stream = stream or next(iter(streams))
    about = streams[stream]
    channels = int(about["n_channels"])
    assert channels == len(json.loads(about["channels"]))
    dtype = np.int32 if about["kind"] == "counts" else np.float32

    by_read_me = decoded_by_read_me(path, stream)
    seen, by_protobuf = decoded_by_protobuf(path, stream, channels)
    by_table = table(csv_path, channels, dtype)

    assert by_read_me[1].dtype == dtype, by_read_me[1].dtype
    assert len(by_read_me[0]) == seen == ledger[stream]["recorded"], (len(by_read_me[0]), seen, ledger[stream])
    assert same(by_read_me, by_table), "the table differs from the samples"
    if by_protobuf is not None:
        assert same(by_read_me, (by_protobuf[0], by_protobuf[1].astype(dtype))), "protobuf differs from read_me.py"
    print(f"{stream}: {seen} samples of {channels} channels agree, codec {about['codec']}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
