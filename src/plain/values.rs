//! The values of the watched output, summed up between two lines.
use std::sync::Arc;

use wavedeck_api::{signal::StreamSpec, tap::Tap};

use crate::{
    session::Session,
    snapshot::{OutputInfo, Snapshot},
    tui::app::default_output,
};

/// Channels in one line at most.
const GROUP: usize = 8;

/// What is watched, and what came since the last line.
#[derive(Default)]
pub(super) struct Values {
    generation: Option<u64>,
    output: Option<OutputInfo>,
    tap: Option<Tap>,
    sums: Vec<Sum>,
}

/// What came of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sum {
    count: u64,
    total: f64,
    min: f32,
    max: f32,
}

const NOTHING: Sum = Sum { count: 0, total: 0.0, min: f32::INFINITY, max: f32::NEG_INFINITY };

impl Sum {
    fn add(&mut self, value: f32) {
        if value.is_finite() {
            self.count += 1;
            self.total += f64::from(value);
            (self.min, self.max) = (self.min.min(value), self.max.max(value));
        }
    }

    /// `42.3 uV (-101..96.0)`: the mean, and between what it moved.
    fn text(&self, unit: &str) -> String {
        if self.count == 0 {
            return "none".to_owned();
        }
        let mean = number(self.total / self.count as f64);
        let gap = if unit.is_empty() { "" } else { " " };
        format!("{mean}{gap}{unit} ({}..{})", number(self.min.into()), number(self.max.into()))
    }
}

/// About three digits, and never fewer than the whole ones.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    // A zero has no sign.
    if text.starts_with('-') && !text.contains(|c: char| c.is_ascii_digit() && c != '0') {
        return text.trim_start_matches('-').to_owned();
    }
    text
}

impl Values {
    /// Keeps looking at an output: at the one that was chosen, or with another pipeline at the one that stands for it.
    pub(super) fn follow(&mut self, session: &Session, snapshot: &Snapshot) {
        if self.generation != Some(snapshot.generation) {
            self.generation = Some(snapshot.generation);
            let before = self.output.take();
            let same = |output: &&OutputInfo| {
                before.as_ref().is_some_and(|before| before.stage == output.stage && before.port == output.port)
            };
            let output = snapshot.outputs.iter().find(same).or_else(|| default_output(snapshot));
            self.look_at(session, output.cloned());
        } else if let (None, Some(output)) = (&self.tap, &self.output) {
            self.tap = session.tap(&output.stage, output.port);
        }
    }

    /// Looks at another output.
    ///
    /// # Errors
    /// If there is none of that name.
    pub(super) fn watch(
        &mut self,
        session: &Session,
        snapshot: &Snapshot,
        stage: &str,
        port: &str,
    ) -> Result<(), String> {
        let fits = |output: &&OutputInfo| &*output.stage == stage && (port.is_empty() || output.port == port);
        // A stage alone stands for its only output, and a name with a point in it may be one.
        let whole = format!("{stage}.{port}");
        let found = snapshot.outputs.iter().find(fits);
        let found = found.or_else(|| snapshot.outputs.iter().find(|output| *output.stage == *whole));
        let Some(output) = found else {
            let names: Vec<String> = snapshot.outputs.iter().map(name).collect();
            return Err(format!("there is no such output; there are {}", names.join(", ")));
        };
        self.look_at(session, Some(output.clone()));
        Ok(())
    }

    fn look_at(&mut self, session: &Session, output: Option<OutputInfo>) {
        // Taps are handed out one at a time: the old one goes first.
        self.tap = None;
        self.tap = output.as_ref().and_then(|output| session.tap(&output.stage, output.port));
        self.sums = vec![NOTHING; output.as_ref().map_or(0, |output| output.spec.frame_len())];
        self.output = output;
    }

    /// Sums up what has come.
    pub(super) fn drain(&mut self) {
        let Some(tap) = &mut self.tap else { return };
        let sums = &mut self.sums;
        let mut add = |values: &[f32]| {
            for frame in values.chunks_exact(sums.len().max(1)) {
                sums.iter_mut().zip(frame).for_each(|(sum, value)| sum.add(*value));
            }
        };
        while tap.next_floats(|_, values| add(values)) {}
    }

    /// What is watched, in words.
    pub(super) fn about(&self) -> String {
        let Some(output) = &self.output else { return "no output to watch".to_owned() };
        let (spec, channels) = (&output.spec, output.spec.channels.len());
        format!("{}, {channels} channels at {} Hz, mean (min..max)", name(output), spec.rate.hz())
    }

    /// A line per group of channels, and begins anew.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        let Some(output) = &self.output else { return Vec::new() };
        let fresh = vec![NOTHING; self.sums.len()];
        let sums = std::mem::replace(&mut self.sums, fresh);
        lines(&name(output), &output.spec, &sums)
    }
}

fn name(output: &OutputInfo) -> String {
    let stage: &Arc<str> = &output.stage;
    format!("{stage}.{}", output.port)
}

fn lines(name: &str, spec: &StreamSpec, sums: &[Sum]) -> Vec<String> {
    if sums.iter().all(|sum| sum.count == 0) {
        return vec![format!("{name}: no samples")];
    }
    let mut lines = Vec::new();
    // The bins of a spectrum are not values to read one by one: a channel is told by all of its bins.
    let each = sums.len() / spec.channels.len().max(1);
    let mut channels: Vec<(usize, &wavedeck_api::signal::ChannelSpec)> = spec.channels.iter().enumerate().collect();
    while let Some((_, first)) = channels.first() {
        let unit = first.unit.clone();
        let group = channels.iter().take(GROUP).take_while(|(_, channel)| channel.unit == unit).count();
        let values = channels.drain(..group).map(|(index, channel)| {
            let bins = sums.iter().skip(index * each).take(each);
            let sum = bins.fold(NOTHING, |all, bin| Sum {
                count: all.count + bin.count,
                total: all.total + bin.total,
                min: all.min.min(bin.min),
                max: all.max.max(bin.max),
            });
            format!("{}={}", channel.name, sum.text(&channel.unit))
        });
        lines.push(format!("{name}: {}", values.collect::<Vec<_>>().join(" ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    fn sum(values: &[f32]) -> Sum {
        values.iter().fold(NOTHING, |mut sum, value| {
            sum.add(*value);
            sum
        })
    }

    #[test]
    fn a_value_is_a_mean_between_its_ends() {
        assert_eq!(sum(&[1.0, 2.0, f32::NAN, 6.0]).text("uV"), "3.00 uV (1.00..6.00)");
        assert_eq!(sum(&[-8_388_608.0]).text(""), "-8388608 (-8388608..-8388608)");
        assert_eq!(sum(&[-0.001]).text("g"), "0.00 g (0.00..0.00)");
        assert_eq!(sum(&[]).text("uV"), "none");
    }

    #[test]
    fn a_line_holds_eight_channels_of_one_unit() {
        let mut spec = fixtures::stream(12, 250.0);
        let mut channels = spec.channels.to_vec();
        channels[10].unit = "g".into();
        spec.channels = channels.into();
        let sums = vec![sum(&[1.0]); 12];
        let lines = lines("clean.out", &spec, &sums);
        let counts: Vec<usize> = lines.iter().map(|line| line.matches('=').count()).collect();
        assert_eq!(counts, [8, 2, 1, 1]);
        assert!(lines[2].contains("clean.out: CH11=1.00 g (1.00..1.00)"), "{}", lines[2]);
    }

    #[test]
    fn silence_is_told() {
        assert_eq!(lines("a.out", &fixtures::stream(2, 250.0), &[NOTHING; 2]), ["a.out: no samples"]);
    }
}
