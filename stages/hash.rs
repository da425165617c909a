//! `hash`: says at its end what each stream has come to, so that two runs can be compared to the bit.
//!
//! The hash is XXH3 with 128 bits over the values as they are in memory on a little-endian machine, frame by frame. Where
//! a run begins, at the first sample and behind each gap, the index of its first sample goes before it as 8 bytes. How
//! samples are cut into packets does not matter, but for spectra, of which each packet is a run.
use twox_hash::XxHash3_128;
use wavedeck_api::{
    handle::{Hashes, StreamHash},
    prelude::*,
};

const KINDS: &[SignalKind] = &[SignalKind::Counts, SignalKind::Physical, SignalKind::Spectrum];

inventory::submit! { StageDescriptor {
    id: "hash",
    version: 1,
    summary: "Hashes every stream that arrives, to compare runs bit for bit",
    inputs: &[PortSpec { name: "in", accepts: KINDS }],
    outputs: &[],
    params: &[],
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 1.0,
    build: Hash::build,
} }

struct Hash {
    input: AnyInput,
    streams: Vec<Running>,
    hashes: Hashes,
    /// Bytes of a packet.
    bytes: Vec<u8>,
}

/// The hash of a stream so far.
struct Running {
    name: String,
    hasher: XxHash3_128,
    samples: u64,
    runs: u64,
    /// Index after the last sample.
    next: Option<u64>,
}

impl Hash {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let input = ctx.any_input("in", KINDS)?;
        let streams = input.sources().map(|source| Running {
            name: format!("{}.{}", source.stage, source.port),
            hasher: XxHash3_128::new(),
            samples: 0,
            runs: 0,
            next: None,
        });
        let streams = streams.collect();
        let most = input.sources().map(|source| source.spec.packet_bytes()).max().unwrap_or(0);
        let hashes = ctx.hashes();
        Ok(Box::new(Self { input, streams, hashes, bytes: Vec::with_capacity(most) }))
    }
}

impl Running {
    fn take(&mut self, header: &PacketHeader, values: usize, bytes: &[u8], is_run: bool) {
        if is_run || self.next != Some(header.first_sample) {
            self.hasher.write(&header.first_sample.to_le_bytes());
            self.runs += 1;
        }
        self.hasher.write(bytes);
        self.samples += values as u64;
        self.next = Some(header.end_sample());
    }
}

impl Stage for Hash {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let (index, packet) = match self.input.recv() {
            Recv::Packet(packet) => packet,
            Recv::Empty => return Ok(Flow::Idle),
            Recv::Closed => return Ok(Flow::Done),
        };
        let (stream, bytes) = (&mut self.streams[index], &mut self.bytes);
        bytes.clear();
        let (values, is_run) = match &packet {
            AnyPacket::Counts(packet) => {
                bytes.extend(packet.samples().iter().flat_map(|count| count.to_le_bytes()));
                (packet.samples().len(), false)
            }
            AnyPacket::Physical(packet) => {
                bytes.extend(packet.samples().iter().flat_map(|value| value.to_le_bytes()));
                (packet.samples().len(), false)
            }
            AnyPacket::Spectrum(packet) => {
                bytes.extend(packet.samples().iter().flat_map(|value| value.to_le_bytes()));
                (packet.samples().len(), true)
            }
        };
        if values > 0 {
            stream.take(packet.header(), values, bytes, is_run);
        }
        Ok(Flow::Again)
    }

    fn finish(&mut self, _ctx: &mut StageContext) -> Result<(), StageError> {
        let hashes = self.streams.iter().map(|stream| StreamHash {
            stream: stream.name.clone(),
            hash: format!("{:032x}", stream.hasher.finish_128()),
            samples: stream.samples,
            runs: stream.runs,
        });
        self.hashes.set(hashes.collect());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wavedeck_api::testing::Harness;

    use super::*;
    use crate::fixtures::{counts, physical};

    fn hashes(packets: &[(u64, &[i32])]) -> StreamHash {
        let mut stage =
            Harness::new("hash", json!({}), &[("in", counts(1, 8)), ("in", physical(1, 8))]).expect("it builds");
        for (first, samples) in packets {
            stage.push::<Counts>("in", *first, samples);
        }
        stage.close();
        stage.run().expect("it runs");
        stage.finish().expect("it ends");
        let mut hashes = stage.hashes.as_ref().expect("hashes").get();
        assert_eq!(hashes.len(), 2);
        assert_eq!(hashes[1].samples, 0);
        hashes.remove(0)
    }

    #[test]
    fn packets_do_not_matter_but_values_and_gaps_do() {
        let whole = hashes(&[(7, &[1, 2, 3, 4])]);
        assert_eq!((whole.samples, whole.runs), (4, 1));
        assert_eq!(hashes(&[(7, &[1]), (8, &[2, 3]), (10, &[4])]), whole);
        let others: [&[(u64, &[i32])]; 3] =
            [&[(7, &[1, 2, 3, 5])], &[(8, &[1, 2, 3, 4])], &[(7, &[1, 2]), (10, &[3, 4])]];
        for other in others {
            assert_ne!(hashes(other).hash, whole.hash);
        }
    }

    #[test]
    fn the_hash_is_the_one_that_is_described() {
        let mut bytes = 7_u64.to_le_bytes().to_vec();
        bytes.extend([1_i32, -2].iter().flat_map(|count| count.to_le_bytes()));
        assert_eq!(hashes(&[(7, &[1, -2])]).hash, format!("{:032x}", XxHash3_128::oneshot(&bytes)));
    }
}
