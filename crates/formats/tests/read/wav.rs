//! WAV and RF64.
use wavedeck_api::signal::{ChannelSpec, SignalKind};
use wavedeck_formats::{ExportOptions, Format};
use wavedeck_recording::Samples;

use crate::{
    Kept, frames,
    made::{Made, START_NS, exported, rate},
    marks, missing,
};

/// A file in the making.
#[derive(Clone)]
pub(crate) struct Wav {
    pub(crate) tag: u16,
    pub(crate) bits: u16,
    pub(crate) channels: u16,
    pub(crate) is_extensible: bool,
    pub(crate) is_large: bool,
    /// Instead of the size of the samples.
    pub(crate) said: Option<u32>,
    pub(crate) data: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl Wav {
    pub(crate) fn new(tag: u16, bits: u16, channels: u16, data: Vec<u8>) -> Self {
        Self { tag, bits, channels, is_extensible: false, is_large: false, said: None, data, tail: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let chunk = |id: &[u8; 4], size: u32, body: &[u8]| [id, &size.to_le_bytes()[..], body].concat();
        let frame_bytes = self.bits / 8 * self.channels;
        let tag = if self.is_extensible { 0xfffe } else { self.tag };
        let mut format = [tag.to_le_bytes(), self.channels.to_le_bytes()].concat();
        format.extend(250u32.to_le_bytes());
        format.extend((250 * u32::from(frame_bytes)).to_le_bytes());
        format.extend([frame_bytes.to_le_bytes(), self.bits.to_le_bytes()].concat());
        if self.is_extensible {
            format.extend([22, 0, self.bits as u8, 0, 0, 0, 0, 0]);
            format.extend(self.tag.to_le_bytes());
            format.extend(b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71");
        }
        let length = self.data.len() as u32;
        let mut body = b"WAVE".to_vec();
        if self.is_large {
            let sizes = [0u64, u64::from(length), 0].map(u64::to_le_bytes).concat();
            body.extend(chunk(b"ds64", 28, &[&sizes[..], &[0; 4]].concat()));
        }
        body.extend(chunk(b"fmt ", format.len() as u32, &format));
        // Of no interest, and of an odd length.
        body.extend(chunk(b"junk", 3, b"abc\0"));
        body.extend(chunk(b"data", self.said.unwrap_or(if self.is_large { u32::MAX } else { length }), &self.data));
        body.extend(vec![0; self.data.len() % 2]);
        body.extend(&self.tail);
        let size = if self.is_large { u32::MAX } else { body.len() as u32 };
        chunk(if self.is_large { b"RF64" } else { b"RIFF" }, size, &body)
    }
}

/// Two cue points, of which the second has a label and a length.
pub(crate) fn cues() -> Vec<u8> {
    let mut out = b"cue \x34\0\0\0\x02\0\0\0".to_vec();
    for (id, frame) in [(7u32, 1u32), (9, 2)] {
        out.extend([id.to_le_bytes(), [0; 4], *b"data", [0; 4], [0; 4], frame.to_le_bytes()].concat());
    }
    out.extend(b"LIST\x32\0\0\0adtllabl\x06\0\0\0\x09\0\0\0a\0ltxt\x14\0\0\0\x09\0\0\0\x7d\0\0\0rgn ");
    out.extend([0; 8]);
    out
}

#[test]
fn samples_of_every_width_are_whole_parts_of_full_scale() {
    let cases: [(u16, Vec<u8>, [i64; 4]); 4] = [
        (8, vec![0, 128, 255, 1], [-128, 0, 127, -127]),
        (16, [-32_768i16, 1, 32_767, -2].map(i16::to_le_bytes).concat(), [-32_768, 1, 32_767, -2]),
        (24, vec![0, 0, 0x80, 1, 0, 0, 0xff, 0xff, 0x7f, 0xfe, 0xff, 0xff], [-8_388_608, 1, 8_388_607, -2]),
        (32, [i32::MIN, 1, i32::MAX, -2].map(i32::to_le_bytes).concat(), [i32::MIN.into(), 1, i32::MAX.into(), -2]),
    ];
    for (bits, data, expected) in cases {
        for is_extensible in [false, true] {
            let source = Kept::new("a.wav", Wav { is_extensible, ..Wav::new(1, bits, 2, data.clone()) }.bytes()).open();

            let [stream] = source.streams() else { panic!("one stream") };
            let expected = expected.map(|count| count as f64);
            let found: Vec<_> = frames(&*source, 0).into_iter().flat_map(|(_, frame)| frame).collect();
            assert_eq!((found, stream.spec.kind), (expected.to_vec(), SignalKind::Counts));
            assert_eq!((stream.spec.rate, &*source.about().format), (rate(250, 1), "WAV"));
            let channel = &stream.spec.channels[1];
            assert_eq!((&*channel.name, &*channel.unit, expected[0] * channel.scale), ("CH2", "FS", -1.0));
            assert_eq!(source.about().warnings, [] as [String; 0]);
        }
    }
}

#[test]
fn floating_point_is_taken_as_it_is() {
    let values = [0.5f32, -1.25, f32::MAX, 1e-9];
    let wide = values.map(|value| f64::from(value).to_le_bytes()).concat();
    for (bits, data) in [(32, values.map(f32::to_le_bytes).concat()), (64, wide)] {
        let source = Kept::new("a.wav", Wav::new(3, bits, 1, data).bytes()).open();
        let found: Vec<_> = frames(&*source, 0).into_iter().map(|(_, frame)| frame[0]).collect();
        assert_eq!((found, source.streams()[0].spec.kind), (values.map(f64::from).to_vec(), SignalKind::Physical));
    }
}

#[test]
fn a_large_file_says_its_size_elsewhere() {
    let wav = Wav { is_large: true, tail: cues(), ..Wav::new(1, 16, 1, vec![1, 0, 2, 0, 3, 0]) };
    let source = Kept::new("a.wav", wav.bytes()).open();
    let found: Vec<_> = frames(&*source, 0).into_iter().map(|(_, frame)| frame[0]).collect();
    assert_eq!((found, &*source.about().format), (vec![1.0, 2.0, 3.0], "RF64"));
    assert_eq!(marks(&*source).len(), 2);
}

#[test]
fn cue_points_are_annotations() {
    let wav = Wav { tail: cues(), ..Wav::new(1, 8, 1, vec![1, 2, 3]) };
    let source = Kept::new("a.wav", wav.bytes()).open();
    assert_eq!(marks(&*source), [(4_000_000, None, "cue 7"), (8_000_000, Some(0.5), "a")]);
    assert_eq!(source.annotations()[1].sample, Some((0, 2)));
}

#[test]
fn a_file_that_was_not_closed_or_was_cut_is_read_to_its_end() {
    let wav = Wav::new(1, 16, 2, (0..40).collect());
    let cases = [
        (Wav { said: Some(0), ..wav.clone() }, 0, "file was not closed, it is read to its end"),
        (Wav { said: Some(u32::MAX), ..wav.clone() }, 0, "file was not closed, it is read to its end"),
        (wav.clone(), 4, "header counts 40 bytes of samples, the file was cut after 36"),
    ];
    for (wav, cut, warning) in cases {
        let bytes = wav.bytes();
        let source = Kept::new("a.wav", &bytes[..bytes.len() - cut]).open();
        assert_eq!((&*source.about().warnings, frames(&*source, 0).len()), (&[warning.to_owned()][..], 10 - cut / 4));
    }
    let empty = Wav { tail: cues(), ..Wav::new(1, 16, 1, Vec::new()) };
    let source = Kept::new("a.wav", empty.bytes()).open();
    assert_eq!((&*source.about().warnings, frames(&*source, 0).len()), (&[][..], 0));
    let broken = Wav::new(1, 16, 2, vec![0; 9]);
    let source = Kept::new("a.wav", broken.bytes()).open();
    assert_eq!(source.about().warnings, ["the last 1 bytes are no whole frame, they are left out"]);
}

#[test]
fn errors_name_the_field_and_what_it_must_be() {
    let refused = |wav: Wav| Kept::new("a.wav", wav.bytes()).refused();
    let cases = [
        (
            refused(Wav::new(85, 16, 1, vec![0; 4])),
            "format in chunk `fmt ` must be 1 (PCM) or 3 (floating point), got `85`",
        ),
        (refused(Wav::new(1, 16, 0, vec![0; 4])), "number of channels in chunk `fmt ` must be at least 1, got `0`"),
        (
            refused(Wav::new(3, 16, 1, vec![0; 4])),
            "bits of a sample in chunk `fmt ` must be 32 or 64 for floating point, got `16`",
        ),
        (refused(Wav::new(1, 64, 1, vec![0; 8])), "bits of a sample in chunk `fmt ` must be 8, 16, 24 or 32, got `64`"),
        (Kept::new("a.wav", b"RIFF\0\0\0\0WAVE").refused(), "WAV must be a file with a chunk `fmt `, got `none`"),
    ];
    for (error, expected) in cases {
        assert_eq!(error, format!("a.wav: {expected}"));
    }
    let other = Kept::new("a.wav", b"RIFF\0\0\0\0AVI LIST").refused();
    assert!(other.starts_with("a.wav looks like a RIFF file other than WAV;"), "{other}");
}

fn counts(first: u64, n: u64) -> Samples {
    let frames = first..first + n;
    Samples::Counts(frames.flat_map(|index| [index as i32 * 17 - 4000, 30_000 - index as i32]).collect())
}

fn recorded() -> Made {
    let channels = vec![
        ChannelSpec::counts("CH1", "µV", 0.25),
        ChannelSpec { offset: 3.0, ..ChannelSpec::counts("b", "mV", 0.5) },
    ];
    let runs = vec![(100, counts(100, 333)), (450, counts(450, 100))];
    Made::new(rate(30_000, 1001), channels, runs).mark(101, "blink", Some(0.25)).mark(440, "in the gap", None)
}

#[test]
fn our_own_exports_come_back_with_all_that_is_beside_them() {
    for as_counts in [true, false] {
        let file = Kept::new("a.wav", b"");
        let options = ExportOptions { counts: as_counts, ..ExportOptions::default() };
        exported(&recorded(), Format::Wav, &options, &file.path()).expect("exported");

        let back = file.open();

        assert_eq!(back.about().warnings, [] as [String; 0]);
        let [stream] = back.streams() else { panic!("one stream") };
        assert_eq!((&*stream.name, &*stream.device, stream.spec.rate), ("eeg", "a board", rate(30_000, 1001)));
        assert_eq!((stream.first_index, stream.end_index, missing(&*back, 0)), (100, 550, vec![(433, 17)]));
        assert_eq!((&*back.missing()[0].reason, &*back.about().subject), ("device", "Jane Doe"));
        assert_eq!(back.about().start_unix_ns, Some(START_NS + rate(30_000, 1001).nanoseconds_at(100)));
        let channels: Vec<_> = stream.spec.channels.iter().map(|c| (&*c.name, &*c.unit, c.scale, c.offset)).collect();
        let scales = if as_counts { [(0.25, 0.0), (0.5, 3.0)] } else { [(1.0, 0.0); 2] };
        assert_eq!(channels, [("CH1", "µV", scales[0].0, scales[0].1), ("b", "mV", scales[1].0, scales[1].1)]);
        for (index, frame) in frames(&*back, 0) {
            let index = index as f64;
            let counts = [index * 17.0 - 4000.0, 30_000.0 - index];
            let expected = if as_counts { counts } else { [counts[0] * 0.25, counts[1] * 0.5 + 3.0] };
            assert_eq!(frame, expected);
        }
        let found: Vec<_> = back.annotations().iter().map(|m| (m.sample, m.duration_s, &*m.label)).collect();
        assert_eq!(found, [(Some((0, 101)), Some(0.25), "blink"), (Some((0, 440)), None, "in the gap")]);
    }
}

#[test]
fn a_sidecar_of_another_file_is_not_used() {
    let file = Kept::new("a.wav", b"");
    exported(&recorded(), Format::Wav, &ExportOptions::default(), &file.path()).expect("exported");
    let beside = file.path().with_extension("wav.json");
    let json = std::fs::read_to_string(&beside).expect("there");
    for (text, says) in
        [(json.replace("\"rows\": 450", "\"rows\": 451"), "tells of another file"), ("{".into(), "is not JSON")]
    {
        std::fs::write(&beside, text).expect("written");
        let source = file.open();
        assert!(source.about().warnings[0].contains(says), "{:?}", source.about().warnings);
        assert_eq!((source.streams()[0].spec.rate, missing(&*source, 0)), (rate(30, 1), vec![]));
        // The cue points are in the file itself.
        assert_eq!(source.annotations().iter().map(|mark| &*mark.label).collect::<Vec<_>>(), ["blink", "in the gap"]);
    }
}

#[test]
fn more_channels_than_a_stream_can_hold_are_several_streams() {
    let source = Kept::new("a.wav", Wav::new(1, 8, 300, (0..600).map(|n| (n % 251) as u8).collect()).bytes()).open();
    let widths: Vec<_> = source.streams().iter().map(|s| (&*s.name, s.spec.channels.len())).collect();
    assert_eq!(widths, [("signals", 256), ("signals_2", 44)]);
    assert_eq!(frames(&*source, 1)[1].1[0], f64::from((300 + 256) % 251) - 128.0);
}
