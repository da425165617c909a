"""Checks the exports of a recording, value by value, with the readers that other people use.

    pip install numpy pyedflib mne soundfile pandas pyarrow mcap mcap-protobuf-support
    python interop.py FILE.mcap STREAM DIR

DIR must hold `counts.FORMAT` (unless the stream is one of values) and `units.FORMAT` for every format. What must be in
them is decoded from the recording itself, by the reader it carries.
"""
import json
import pathlib
import struct
import sys

import mne
import numpy as np
import pandas
import pyarrow.parquet
import pyedflib
import soundfile
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "recording" / "tests"))
import interop as recording  # noqa: E402

mne.set_log_level("ERROR")


class Expected:
    """What the recording holds."""

    def __init__(self, path, stream):
        about, _ = recording.check_summary(path)
        self.about = about[stream]
        self.channels = json.loads(self.about["channels"])
        self.names = [channel["name"] for channel in self.channels]
        self.units = [channel["unit"] for channel in self.channels]
        self.is_counts = self.about["kind"] == "counts"
        self.index, self.data = recording.decoded_by_read_me(path, stream)
        self.rate_text = self.about["rate_hz"]
        numerator, denominator = map(int, self.rate_text.split("/"))
        self.rate = numerator / denominator
        scale = np.array([channel["gain"] for channel in self.channels])
        offset = np.array([channel["offset"] for channel in self.channels])
        self.scale = scale
        self.physical = self.data * scale + offset if self.is_counts else self.data.astype(np.float64)
        self.values = self.physical.astype(np.float32)
        jumps = np.nonzero(np.diff(self.index) > 1)[0]
        self.gaps = [(self.index[at] + 1, self.index[at + 1] - self.index[at] - 1, at + 1) for at in jumps]
        self.first = self.index[0]
        self.marks = self.events(path, stream)

    def events(self, path, stream):
        """Index and label of each mark; those of other streams by their time."""
        marks = []
        with open(path, "rb") as file:
            decoded = make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages([f"/{stream}/data"])
            batches = [(batch.t0_ns, batch.first_index) for _, _, _, batch in decoded]
            self.start_s = batches[0][0] / 1e9
            file.seek(0)
            for _, _, message in make_reader(file).iter_messages(topics=["/events"]):
                event = json.loads(message.data)
                if event.get("stream") == stream and event.get("index") is not None:
                    index = event["index"]
                else:
                    before = [batch for batch in batches if batch[0] <= message.log_time] or batches[:1]
                    after = [first for t0, first in batches if t0 > message.log_time] + [self.index[-1]]
                    frames = np.ceil((message.log_time - before[-1][0]) * self.rate / 1e9 - 1e-6)
                    index = min(before[-1][1] + int(max(frames, 0)), after[0])
                marks.append((min(index, self.index[-1]), event["label"]))
        return sorted(marks)

    def filled(self, rows, zeros=False):
        """With frames made up where they are missing."""
        total = self.index[-1] - self.first + 1
        at = np.searchsorted(self.index, self.first + np.arange(total), side="right") - 1
        filled = rows[at].copy()
        if zeros:
            filled[self.index[at] != self.first + np.arange(total)] = 0
        return filled


def plain(unit):
    return unit.replace("µ", "u").replace("μ", "u")


def check_annotations(onsets, durations, texts, expected, reader):
    found = sorted(zip(onsets, durations, texts))
    sample = 1 / expected.rate
    for index, label in expected.marks:
        onset = (index - expected.first) * sample
        assert any(text == label and abs(at - onset) < sample for at, _, text in found), (reader, label, onset, found)
    skips = [(at, duration) for at, duration, text in found if text == "BAD_ACQ_SKIP"]
    assert len(skips) == len(expected.gaps), (reader, skips, expected.gaps)
    for (at, duration), (first, n, _) in zip(skips, expected.gaps):
        assert abs(at - (first - expected.first) * sample) < sample, (reader, at, first)
        assert abs(duration - n * sample) < sample, (reader, duration, n)


def check_edf(path, expected, bits):
    """Returns the largest error in steps of the recording, and relative to the range."""
    filled = expected.filled(expected.data)
    physical = expected.filled(expected.physical)
    total = len(filled)
    worst_steps = worst = 0
    with pyedflib.EdfReader(str(path)) as file:
        assert file.signals_in_file == len(expected.names)
        assert [label[:16] for label in file.getSignalLabels()] == [name[:16] for name in expected.names]
        for n in range(file.signals_in_file):
            unit, own = file.getPhysicalDimension(n), plain(expected.units[n])
            # Numbers too large for eight characters go into the next unit.
            assert unit == own or own == "uV" and unit == "mV" and np.abs(physical[:, n]).max() > 9e6, (unit, own)
            factor = 1 if unit == own else 1e3
            assert abs(file.getSampleFrequency(n) / expected.rate - 1) < 1e-9, file.getSampleFrequency(n)
            digital = file.readSignal(n, digital=True)[:total].astype(np.int64)
            back = file.readSignal(n)[:total] * factor
            assert len(digital) == total
            span = np.ptp(physical[:, n])
            if expected.is_counts and np.ptp(filled[:, n].astype(np.int64)) < 2**bits:
                shift = np.unique(filled[:, n] - digital)
                assert len(shift) == 1 and (bits == 16 or shift[0] == 0), (path, shift)
                allowed = abs(expected.scale[n]) * 2**bits * 1e-6
            else:
                allowed = (file.getPhysicalMaximum(n) - file.getPhysicalMinimum(n)) * factor / (2**bits - 1) * 0.501
            error = np.abs(back - physical[:, n]).max()
            assert error <= allowed, (path, n, error, allowed)
            worst_steps = max(worst_steps, error / abs(expected.scale[n]))
            worst = max(worst, error / span if span else 0)
        check_annotations(*file.readAnnotations(), expected, "pyedflib")
    read = mne.io.read_raw_bdf if bits == 24 else mne.io.read_raw_edf
    raw = read(path, preload=True)
    assert raw.ch_names == [name[:16] for name in expected.names], raw.ch_names
    assert abs(raw.info["sfreq"] / expected.rate - 1) < 1e-9, raw.info["sfreq"]
    factors = {"uV": 1e6, "mV": 1e3, "V": 1}
    data = raw.get_data()[:, :total].T * [factors.get(plain(unit), 1) for unit in expected.units]
    step = np.ptp(physical, axis=0) / 2**bits + np.abs(expected.scale) * (1e-3 if expected.is_counts else 0)
    error = np.abs(data - physical).max(axis=0)
    assert (error <= step + np.abs(physical).max(axis=0) * 1e-6 + 1e-9).all(), (path, error, step)
    a = raw.annotations
    check_annotations(a.onset, a.duration, a.description, expected, "mne")
    # The header has the time of day where it was written; run this in UTC.
    assert 0 <= expected.start_s - raw.info["meas_date"].timestamp() < 1.001, raw.info["meas_date"]
    return worst_steps, worst


def check_wav(path, expected, counts):
    info = soundfile.info(path)
    assert info.samplerate == round(expected.rate), info.samplerate
    if counts:
        data, _ = soundfile.read(path, dtype="int32", always_2d=True)
        wanted = expected.filled(expected.data, zeros=True)
        small = np.abs(expected.data.astype(np.int64)).max() < 2**23
        assert info.subtype == ("PCM_24" if small else "PCM_32"), info.subtype
        data = data >> 8 if small else data
    else:
        data, _ = soundfile.read(path, dtype="float32", always_2d=True)
        wanted = expected.filled(expected.values, zeros=True)
        assert info.subtype == "FLOAT", info.subtype
    assert np.array_equal(data, wanted), path
    file = path.read_bytes()
    cues, at = [], 12
    while at < len(file):
        name, length = struct.unpack_from("<4sI", file, at)
        if name == b"cue ":
            cues = [struct.unpack_from("<II4sIII", file, at + 12 + 24 * n)[5] for n in range((length - 4) // 24)]
        at += 8 + length + length % 2
    assert cues == [index - expected.first for index, _ in expected.marks], cues
    check_sidecar(path, expected, counts, filled=True)


def check_sidecar(path, expected, counts, filled):
    about = json.loads(path.with_name(path.name + ".json").read_text())
    assert [channel["name"] for channel in about["channels"]] == expected.names
    assert [channel["unit"] for channel in about["channels"]] == expected.units
    if counts:
        assert [channel["scale"] for channel in about["channels"]] == list(expected.scale)
    assert (about["first_index"], about["rate"]) == (expected.first, expected.rate_text)
    gaps = [(gap["first_index"], gap["n"], gap["row"]) for gap in about["gaps"]]
    wanted = [(first, n, first - expected.first if filled else row) for first, n, row in expected.gaps]
    assert gaps == wanted, (gaps, wanted)
    assert [(mark["index"], mark["label"]) for mark in about["markers"]] == expected.marks


def marks_of(texts, index):
    there = [(at, text) for at, text in zip(index, texts) if isinstance(text, str) and text]
    return sorted((at, label) for at, text in there for label in text.split(";"))


def rows_of(expected):
    """The marks, each on a frame that is there."""
    return sorted((expected.index[np.searchsorted(expected.index, at)], label) for at, label in expected.marks)


def check_csv(path, expected, wanted, counts):
    table = pandas.read_csv(path, dtype=str)
    heads = [f"{name} [{'counts' if counts else unit}]" for name, unit in zip(expected.names, expected.units)]
    assert list(table.columns) == ["sample", "time_s", *heads, "marker"], list(table.columns)
    assert np.array_equal(table["sample"].astype(np.int64), expected.index)
    assert np.allclose(table["time_s"].astype(float), (expected.index - expected.first) / expected.rate, atol=1e-8)
    assert np.array_equal(table[heads].to_numpy().astype(np.float64).astype(wanted.dtype), wanted), path
    assert marks_of(table["marker"], expected.index) == rows_of(expected)


def check_parquet(path, expected, wanted):
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == ["sample", "time_s", *expected.names, "marker"], table.column_names
    assert np.array_equal(table["sample"].to_numpy(), expected.index)
    assert np.allclose(table["time_s"].to_numpy(), (expected.index - expected.first) / expected.rate, atol=1e-9)
    for n, name in enumerate(expected.names):
        column = table[name].to_numpy()
        assert column.dtype == wanted.dtype and np.array_equal(column, wanted[:, n]), (path, name)
    assert marks_of(table["marker"].to_pylist(), expected.index) == rows_of(expected)
    metadata = table.schema.metadata
    assert metadata[b"rate"].decode() == expected.rate_text
    assert [channel["unit"] for channel in json.loads(metadata[b"channels"])] == expected.units
    encodings = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(2).encodings
    assert ("DELTA_BINARY_PACKED" in encodings) == (wanted.dtype == np.int32), encodings


def check_mcap(path, expected, wanted, stream):
    with open(path, "rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()], validate_crcs=True)
        channel = next(c for c in reader.get_summary().channels.values() if c.topic == f"/{stream}")
        channels = json.loads(channel.metadata["channels"])
        assert [c["name"] for c in channels] == expected.names and [c["unit"] for c in channels] == expected.units
        fields = [c["field"] for c in channels]
        messages = [message.decoded_message for message in reader.iter_decoded_messages(topics=[f"/{stream}"])]
        index = np.array([message.index for message in messages])
        data = np.array([[getattr(message, field) for field in fields] for message in messages], dtype=wanted.dtype)
        assert np.array_equal(index, expected.index) and np.array_equal(data, wanted), path
        marks = [json.loads(message.data) for _, _, message in reader.iter_messages(topics=["/markers"])]
        assert sorted((mark["index"], mark["label"]) for mark in marks) == expected.marks, marks
        gaps = [json.loads(message.data) for _, _, message in reader.iter_messages(topics=["/gaps"])]
        assert [(gap["first_index"], gap["n"]) for gap in gaps] == [gap[:2] for gap in expected.gaps], gaps


def main(path, stream, folder):
    expected = Expected(path, stream)
    folder = pathlib.Path(folder)
    kinds = ["counts", "units"] if expected.is_counts else ["units"]
    for kind in kinds:
        counts = kind == "counts"
        wanted = expected.data if counts else expected.values
        exact = expected.data if counts or not expected.is_counts else expected.physical
        file = lambda format: folder / f"{kind}.{format}"  # noqa: E731
        check_csv(file("csv"), expected, exact, counts)
        check_wav(file("wav"), expected, counts)
        assert np.array_equal(np.load(file("npy")), wanted) and np.load(file("npy")).dtype == wanted.dtype
        check_sidecar(file("npy"), expected, counts, filled=False)
        check_parquet(file("parquet"), expected, wanted)
        check_mcap(file("mcap"), expected, wanted, stream)
        for format, bits in [("bdf", 24), ("edf", 16)]:
            steps, relative = check_edf(file(format), expected, bits)
            of_step = f", {steps:.2g} of a count" if expected.is_counts else ""
            print(f"  {kind}.{format}: largest error {relative:.2g} of the span{of_step}")
    print(
        f"{stream}: {expected.data.shape[0]} frames of {expected.data.shape[1]} channels agree in every format, "
        f"{len(expected.marks)} marks and {len(expected.gaps)} gaps in their places"
    )


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
