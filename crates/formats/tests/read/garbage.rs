//! Files that are not what they should be: whatever is in them, reading ends, with values or with an error.
use proptest::prelude::*;

use crate::{
    Kept,
    hand::Edf,
    wav::{Wav, cues},
};

/// Reads all there is.
fn exhaust(name: &str, bytes: &[u8]) {
    let file = Kept::new(name, bytes);
    let Ok(source) = wavedeck_formats::open(&file.path()) else { return };
    for (number, stream) in source.streams().iter().enumerate() {
        let middle = stream.first_index + (stream.end_index - stream.first_index) / 2;
        for from in [0, middle, stream.end_index, u64::MAX] {
            let blocks = source.blocks(number, from).map_or_else(|_| Vec::new(), |blocks| blocks.take(2000).collect());
            let mut next = 0;
            for block in blocks.into_iter().flatten() {
                assert!(block.first_index >= next && block.end_index() > from.min(stream.end_index - 1));
                assert!(block.end_index() <= stream.end_index);
                next = block.end_index();
            }
        }
    }
    for run in source.missing() {
        let stream = &source.streams()[run.stream];
        assert!(run.n > 0 && run.first_index >= stream.first_index && run.first_index + run.n <= stream.end_index);
    }
}

fn edf(reserved: &str) -> Vec<u8> {
    let lists = ["+0\x14\x14\0+0.1\x152\x14x\x14\0", "+1.5\x14\x14\0+1\x150.5\x14BAD_ACQ_SKIP\x14\0", "+9\x14\x14\0"];
    Edf::new(reserved).signal("a", 4).signal("b", 2).lists(&lists).bytes()
}

/// The valid files that the tests spoil.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let own =
        "sample,time_s,CH1 [uV],x,marker\n7,0.000000000,1,2,\"a \"\"b\"\"\"\n8,0.004,3e-3,4,\n12,0.020,-5,NaN,c;d\n";
    let bci = "%OpenBCI Raw EEG Data\n%Number of channels = 1\n%Sample Rate = 250 Hz\n1, 2.5, 0.1, 12:00:00.1, 1480000000000\n\
        2, 3.5, 0.1, 12:00:00.1, 1480000000004\n5, 3.5, 0.1, 12:00:00.1, 1480000000004\n";
    let signals = "# OpenSignals Text File Format\n# {\"a\": {\"column\": [\"nSeq\", \"A1\"], \"sampling rate\": 100, \
        \"label\": [\"A1\"], \"date\": \"2016-5-31\", \"time\": \"1:2:3\"}}\n# EndOfHeader\n0\t5\t\n1\t6\t\n3\t6\t\n";
    vec![
        ("a.edf", edf("EDF+D")),
        ("a.edf", edf("EDF+C")),
        ("a.bdf", edf("BDF+D")),
        ("a.wav", Wav { tail: cues(), ..Wav::new(1, 16, 2, (0..40).collect()) }.bytes()),
        ("a.wav", Wav { is_large: true, is_extensible: true, ..Wav::new(3, 32, 1, vec![0; 40]) }.bytes()),
        ("a.csv", text(own)),
        ("a.csv", text("t;x\n0,1;5\n0,2;6\n0,4;7\n0,5;8\n")),
        ("a.txt", text(bci)),
        ("a.txt", text(signals)),
    ]
}

#[test]
fn files_cut_at_any_byte_are_read_or_refused() {
    for (name, bytes) in samples() {
        for end in 1..bytes.len() {
            exhaust(name, &bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn files_with_changed_bytes_are_read_or_refused(
        which in 0usize..64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), b' '..=b'9']), 1..6),
    ) {
        let all = samples();
        let (name, mut bytes) = all[which % all.len()].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        exhaust(name, &bytes);
    }

    #[test]
    fn files_with_anything_behind_their_header_are_read_or_refused(
        which in 0usize..64,
        keep in any::<prop::sample::Index>(),
        rest in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let all = samples();
        let (name, mut bytes) = all[which % all.len()].clone();
        bytes.truncate(keep.index(bytes.len()) + 1);
        bytes.extend(rest);
        exhaust(name, &bytes);
    }
}
