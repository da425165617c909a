"""Writes files with the programs that other people use and checks, value by value, what `wavedeck export` makes of them.

    pip install numpy pyedflib soundfile pandas mne
    python interop_read.py WAVEDECK DIR
"""
import datetime
import pathlib
import subprocess
import sys

import mne
import numpy as np
import pandas
import pyedflib
import soundfile

mne.set_log_level("ERROR")
rng = np.random.default_rng(1)


class Opened:
    """A stream of a file, exported to a table."""

    def __init__(self, wavedeck, path, *options):
        table = path.with_name(path.name + ".table.csv")
        command = [wavedeck, "export", path, "--to", "csv", "-o", table, "--overwrite", *options]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, (path.name, done.stderr)
        self.warnings = [line for line in done.stderr.splitlines() if "warning" in line]
        frame = pandas.read_csv(table, dtype={"marker": str})
        self.index = frame["sample"].to_numpy()
        self.time_s = frame["time_s"].to_numpy()
        self.names = list(frame.columns[2:-1])
        self.data = frame[self.names].to_numpy()
        texts = zip(self.index, frame["marker"])
        self.marks = [(at, label) for at, text in texts if isinstance(text, str) for label in text.split(";")]

    def single(self):
        """The text of a number in single precision is the shortest that gives the same one back."""
        self.data = self.data.astype(np.float32).astype(np.float64)

    def check(self, names, data, rate, marks=(), warnings=0, exact=True):
        assert self.names == names, (self.names, names)
        assert len(self.warnings) == warnings, self.warnings
        assert self.data.shape == data.shape, (self.data.shape, data.shape)
        if exact:
            assert np.array_equal(self.data, data, equal_nan=True)
        error = np.nanmax(np.abs(self.data - data))
        assert error <= 1e-9 * np.nanmax(np.abs(data)), error
        assert np.allclose(self.time_s, (self.index - self.index[0]) / rate, atol=1e-9)
        assert self.marks == list(marks), (self.marks, marks)


def edf(wavedeck, folder, kind, extension, bits):
    """Two rates and annotations."""
    path = folder / f"two rates.{extension}"
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    rates, labels = [256, 256, 32], ["EEG Fp1", "EEG Fp2", "Temp"]
    digital = [rng.integers(low, high, rate * 20, endpoint=True, dtype=np.int32) for rate in rates]
    notes = [(0.0, -1, "start"), (1.5, 2.25, "größer"), (7.0078125, -1, "stop, then; go"), (19.0, -1, "end")]
    with pyedflib.EdfWriter(str(path), 3, file_type=kind) as file:
        for n, (label, rate) in enumerate(zip(labels, rates)):
            file.setSignalHeader(n, {
                "label": label, "dimension": "uV", "sample_frequency": rate, "transducer": "", "prefilter": "",
                "physical_min": -187.5 * (n + 1), "physical_max": 187.5 * (n + 1), "digital_min": low, "digital_max": high,
            })
        file.setPatientName("Jane_Doe")
        file.setStartdatetime(datetime.datetime(2024, 3, 2, 10, 20, 30))
        file.writeSamples(digital, digital=True)
        for note in notes:
            file.writeAnnotation(*note)
    with pyedflib.EdfReader(str(path)) as file:
        physical = [file.readSignal(n) for n in range(3)]
    for stream, channels in [("signals_256hz", [0, 1]), ("signals_32hz", [2])]:
        rate = rates[channels[0]]
        marks = [(int(np.ceil(onset * rate)), label) for onset, _, text in notes for label in text.split(";")]
        names = [labels[n] for n in channels]
        counts = Opened(wavedeck, path, "--stream", stream, "--counts")
        counts.check([f"{name} [counts]" for name in names], np.array([digital[n] for n in channels]).T, rate, marks)
        units = Opened(wavedeck, path, "--stream", stream)
        units.check([f"{name} [uV]" for name in names], np.array([physical[n] for n in channels]).T, rate, marks, exact=False)
    again(wavedeck, path, folder / f"again.{extension}", digital[:2], notes, bits)
    return f"{extension}+: 3 signals of 2 rates, {len(notes)} annotations"


def again(wavedeck, path, copy, digital, notes, bits):
    """Our export of a foreign file, in the reader of yet others."""
    command = [wavedeck, "export", path, "--stream", "signals_256hz", "-o", copy, "--overwrite"]
    subprocess.run(command, check=True, capture_output=True)
    with pyedflib.EdfReader(str(copy)) as file:
        assert file.getPatientName() == "Jane Doe", file.getPatientName()
        assert file.getStartdatetime() == datetime.datetime(2024, 3, 2, 10, 20, 30), file.getStartdatetime()
        for n, counts in enumerate(digital):
            assert np.array_equal(file.readSignal(n, digital=True), counts)
        onsets, _, texts = file.readAnnotations()
    assert [(at, text) for at, text in zip(onsets, texts)] == [(at, text) for at, _, text in notes], (onsets, texts)
    raw = (mne.io.read_raw_bdf if bits == 24 else mne.io.read_raw_edf)(copy)
    assert list(raw.annotations.description) == [text for _, _, text in notes]


def wav(wavedeck, folder):
    for subtype, bits in [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32), ("FLOAT", 0), ("DOUBLE", 0)]:
        for container in ["WAV", "WAVEX", "RF64"]:
            path = folder / f"{subtype}.{container.lower()}.wav"
            if bits:
                data = rng.integers(-(2**31), 2**31 - 1, (3000, 3), dtype=np.int32) >> (32 - bits) << (32 - bits)
            else:
                data = rng.normal(size=(3000, 3)).astype(np.float32)
            soundfile.write(path, data, 500, subtype=subtype, format=container)
            names = ["CH1 [FS]", "CH2 [FS]", "CH3 [FS]"]
            units = Opened(wavedeck, path)
            if not bits:
                units.single()
            units.check(names, data / 2**31 if bits else data.astype(np.float64), 500, exact=not bits)
            if bits:
                counts = Opened(wavedeck, path, "--counts")
                counts.check([name.replace("FS", "counts") for name in names], data >> (32 - bits), 500)
    return "wav: 6 kinds of samples in 3 containers"


def tables(wavedeck, folder):
    time_s = np.arange(3000) / 250
    data = rng.normal(size=(3000, 4)).astype(np.float32)
    data[17, 2] = np.nan
    names = ["Fp1 [uV]", "Fp2 [uV]", "a, b", "ECG [mV]"]
    frame = pandas.DataFrame(data, columns=names)
    timed = frame.copy()
    timed.insert(0, "time_s", time_s)
    marked = timed.assign(marker=["go" if n == 100 else None for n in range(3000)])
    gap = timed[(timed.index < 1000) | (timed.index >= 1100)]
    unix = frame.set_axis(pandas.Index(1_700_000_000 + time_s, name="timestamp"))
    cases = [
        ("plain.csv", timed, {"index": False}, {}),
        ("numbered.csv", timed, {}, {}),
        ("windows.csv", timed, {"index": False, "lineterminator": "\r\n", "encoding": "utf-8-sig"}, {}),
        ("tabs.tsv", timed, {"index": False, "sep": "\t"}, {}),
        ("german.csv", timed, {"index": False, "sep": ";", "decimal": ","}, {}),
        ("spaces.txt", timed.rename(columns={"a, b": "a"}), {"index": False, "sep": " ", "na_rep": "NaN"}, {"a": True}),
        ("marked.csv", marked, {"index": False}, {"marks": [(100, "go")]}),
        ("unix.csv", unix, {}, {}),
        ("gap.csv", gap, {"index": False}, {"gap": True}),
        ("untimed.csv", frame, {"index": False}, {"rate": 1, "warnings": 1}),
    ]
    for name, table, options, wanted in cases:
        if name == "spaces.txt":
            table = table.rename(columns=lambda column: column.replace(" ", ""))
        path = folder / name
        table.to_csv(path, **options)
        heads = list(names)
        if wanted.get("a"):
            heads = ["Fp1 [uV]", "Fp2 [uV]", "a", "ECG [mV]"]
        values = data.astype(np.float64)
        rows = np.arange(3000)
        if wanted.get("gap"):
            rows = np.concatenate([rows[:1000], rows[1100:]])
        opened = Opened(wavedeck, path)
        assert np.array_equal(opened.index, rows), name
        opened.single()
        opened.check(heads, values[rows], wanted.get("rate", 250), wanted.get("marks", []), wanted.get("warnings", 0))
    return f"tables: {len(cases)} ways in which pandas writes one"


def main(wavedeck, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    print("  " + edf(wavedeck, folder, pyedflib.FILETYPE_EDFPLUS, "edf", 16))
    print("  " + edf(wavedeck, folder, pyedflib.FILETYPE_BDFPLUS, "bdf", 24))
    print("  " + wav(wavedeck, folder))
    print("  " + tables(wavedeck, folder))
    print("files of pyedflib, soundfile and pandas open with every value, rate, name and mark")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
