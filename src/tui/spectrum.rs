//! Spectra of the channel that is looked at: its power spectral density now, and how that was lately.
//!
//! Taken from what is on the screen, not from a stage: every output of every pipeline has one, filtered or not. The
//! density is the mean over overlapping Hann windows of the last samples (Welch's method).
use std::collections::VecDeque;

use wavedeck_api::{packet::PacketHeader, signal::StreamSpec};
use wavedeck_stages::dsp::density::Density;

use super::history::gains;

/// Samples of a window that can be chosen.
pub const SIZES: std::ops::RangeInclusive<usize> = 64..=16_384;
/// Seconds of a window unless chosen.
const USUAL_S: f64 = 2.0;
/// Windows' lengths that are kept, and windows in the mean: half of each overlaps with the next.
const WINDOWS: usize = 4;
const MOST_WINDOWS: usize = 2 * WINDOWS - 1;
/// Most bytes of samples kept; of many channels at a high rate windows are shorter.
const MOST_BYTES: usize = 16 << 20;
/// Time from one row of the spectrogram to the next.
const ROW_S: f64 = 0.25;
/// Rows kept, and most values of one.
const MOST_ROWS: usize = 1024;
const ROW_VALUES: usize = 1024;

/// The density of a channel at a time, as the spectrogram shows it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Counts from the beginning of the acquisition; one that is missing had a gap in its window.
    pub number: u64,
    /// Largest density in each of as many equal parts of the frequencies.
    pub parts: Box<[f32]>,
}

/// What is known of one channel.
#[derive(Clone, Debug, Default)]
pub struct Spectrum {
    /// Whose it is.
    pub channel: usize,
    /// Samples of a window.
    pub size: usize,
    /// Samples of the window that there are so far.
    pub gathered: usize,
    /// Samples per second.
    pub rate_hz: f64,
    /// Windows in the mean.
    pub windows: usize,
    /// Unit^2/Hz from 0 Hz to half the rate; empty before the first window is full.
    pub density: Vec<f32>,
    /// Oldest first.
    pub rows: VecDeque<Row>,
    /// Seconds from row to row.
    pub row_s: f64,
}

impl Spectrum {
    /// Hertz from bin to bin.
    pub fn bin_hz(&self) -> f64 {
        self.rate_hz / self.size.max(1) as f64
    }

    /// Half the rate: no signal has more than that.
    pub fn nyquist_hz(&self) -> f64 {
        self.rate_hz / 2.0
    }
}

/// Watches an output.
pub struct Analyzer {
    gain: Vec<(f32, f32)>,
    /// Newest samples of all channels, frame by frame.
    frames: VecDeque<f32>,
    next_sample: Option<u64>,
    density: Density,
    window: Vec<f32>,
    row_frames: u64,
    next_row: u64,
    /// There are samples that the mean does not know of.
    is_stale: bool,
    shown: Spectrum,
}

impl Analyzer {
    /// For a stream of this shape.
    pub fn new(spec: &StreamSpec) -> Self {
        let rate_hz = spec.rate.hz();
        let row_frames = ((ROW_S * rate_hz).round() as u64).max(1);
        let size = usual_size(rate_hz, spec.channels.len());
        Self {
            gain: gains(spec),
            frames: VecDeque::new(),
            next_sample: None,
            density: Density::new(size, rate_hz, true),
            window: Vec::new(),
            row_frames,
            next_row: 0,
            is_stale: false,
            shown: Spectrum { size, rate_hz, row_s: row_frames as f64 / rate_hz, ..Spectrum::default() },
        }
    }

    /// Takes the mean anew if there is a new row: of use only while someone looks, and the dearest part of all.
    pub fn refresh(&mut self) {
        if std::mem::take(&mut self.is_stale) {
            self.take_mean();
        }
    }

    /// What is known, as of the last [`refresh`](Self::refresh).
    pub fn shown(&self) -> &Spectrum {
        &self.shown
    }

    /// Looks at a channel through windows of a size, the usual one if `None`; what is known of another one goes.
    pub fn look_at(&mut self, channel: usize, size: Option<usize>) {
        let channels = self.gain.len();
        let size = size.map_or_else(|| usual_size(self.shown.rate_hz, channels), |size| affordable(size, channels));
        if channel == self.shown.channel && size == self.shown.size {
            return;
        }
        if size != self.shown.size {
            self.density = Density::new(size, self.shown.rate_hz, true);
        }
        let Spectrum { rate_hz, row_s, .. } = self.shown;
        self.shown = Spectrum { channel, size, rate_hz, row_s, ..Spectrum::default() };
        self.is_stale = true;
    }

    /// Takes the frames of one packet.
    pub fn ingest(&mut self, header: &PacketHeader, data: &[f32]) {
        let channels = self.gain.len();
        if channels == 0 {
            return;
        }
        if self.next_sample != Some(header.first_sample) {
            // No window reaches over a gap.
            self.frames.clear();
            self.shown.gathered = 0;
            self.next_row = header.first_sample / self.row_frames + 1;
            if self.next_sample.is_some_and(|next| header.first_sample < next) {
                self.shown.rows.clear();
            }
        }
        let mut sample = header.first_sample;
        for frame in data.chunks_exact(channels).take(header.batch_size as usize) {
            let frame = frame.iter().zip(&self.gain);
            // What is no number would make all of the spectrum none.
            let values = frame.map(|(value, (scale, offset))| value * scale + offset);
            self.frames.extend(values.map(|value| if value.is_finite() { value } else { 0.0 }));
            sample += 1;
            if sample == self.next_row * self.row_frames {
                self.forget_old();
                self.take_row();
                self.next_row += 1;
            }
        }
        self.next_sample = Some(sample);
        self.forget_old();
        self.shown.gathered = (self.frames.len() / channels).min(self.shown.size);
    }

    fn forget_old(&mut self) {
        let channels = self.gain.len();
        let kept = (WINDOWS * self.shown.size + self.row_frames as usize) * channels;
        drop(self.frames.drain(..self.frames.len().saturating_sub(kept)));
    }

    /// The window that ends `back` frames before the newest sample.
    fn take_window(&mut self, back: usize) -> bool {
        let (channels, size) = (self.gain.len(), self.shown.size);
        let Some(first) = (self.frames.len() / channels).checked_sub(back + size) else { return false };
        self.window.clear();
        let frames = self.frames.range(first * channels..(first + size) * channels);
        self.window.extend(frames.skip(self.shown.channel).step_by(channels));
        true
    }

    fn take_row(&mut self) {
        self.is_stale = true;
        if !self.take_window(0) {
            return;
        }
        let mut density = vec![0.0; self.shown.size / 2 + 1];
        self.density.of(self.window.iter(), &mut density);
        let parts = density.len().min(ROW_VALUES);
        let part = |at: usize| at * density.len() / parts..(at + 1) * density.len() / parts;
        let parts = (0..parts).map(|at| density[part(at)].iter().copied().fold(0.0, f32::max)).collect();
        if self.shown.rows.len() == MOST_ROWS {
            self.shown.rows.pop_front();
        }
        self.shown.rows.push_back(Row { number: self.next_row, parts });
    }

    /// The mean over the windows before the last row, as far as there are samples for them.
    fn take_mean(&mut self) {
        let row = self.next_row.saturating_sub(1) * self.row_frames;
        let since = self.next_sample.map_or(0, |next| next.saturating_sub(row)) as usize;
        let bins = self.shown.size / 2 + 1;
        let (mut sum, mut one) = (vec![0.0_f32; bins], vec![0.0; bins]);
        let mut windows = 0;
        while windows < MOST_WINDOWS && self.take_window(since + windows * self.shown.size / 2) {
            self.density.of(self.window.iter(), &mut one);
            sum.iter_mut().zip(&one).for_each(|(sum, one)| *sum += one);
            windows += 1;
        }
        if windows > 0 {
            sum.iter_mut().for_each(|value| *value /= windows as f32);
            (self.shown.density, self.shown.windows) = (sum, windows);
        }
    }
}

/// The window for a rate unless another is chosen: some two seconds.
pub fn usual_size(rate_hz: f64, channels: usize) -> usize {
    let size = (rate_hz * USUAL_S).clamp(*SIZES.start() as f64, *SIZES.end() as f64);
    affordable((size as usize).next_power_of_two(), channels)
}

/// The size, or the largest for which there is memory.
fn affordable(size: usize, channels: usize) -> usize {
    let most = MOST_BYTES / size_of::<f32>() / WINDOWS / channels.max(1);
    let least = *SIZES.start();
    // The largest power of two that is not above it.
    size.clamp(least, *SIZES.end()).min(((most / 2).max(least / 2) + 1).next_power_of_two())
}

/// A range of frequencies with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// `alpha`.
    pub name: String,
    /// From here.
    pub low_hz: f64,
    /// To below here.
    pub high_hz: f64,
}

/// The bands that are usual for a rate: those of EEG up to some kilohertz, else one for each decade.
pub fn bands(rate_hz: f64) -> Vec<Band> {
    const EEG: [(&str, f64, f64); 6] = [
        ("delta", 0.5, 4.0),
        ("theta", 4.0, 8.0),
        ("alpha", 8.0, 13.0),
        ("beta", 13.0, 30.0),
        ("gamma", 30.0, 100.0),
        ("high", 100.0, 500.0),
    ];
    let nyquist = rate_hz / 2.0;
    let mut bands: Vec<Band> = if (20.0..=4000.0).contains(&rate_hz) {
        EEG.iter().map(|(name, low, high)| Band { name: (*name).to_owned(), low_hz: *low, high_hz: *high }).collect()
    } else {
        let top = nyquist.log10().ceil() as i32;
        (top - 4..top)
            .map(|decade| Band {
                name: crate::tui::scale::hertz(10_f64.powi(decade)),
                low_hz: 10_f64.powi(decade),
                high_hz: 10_f64.powi(decade + 1),
            })
            .collect()
    };
    bands.retain(|band| band.low_hz < nyquist);
    if let Some(last) = bands.last_mut() {
        last.high_hz = last.high_hz.min(nyquist);
    }
    bands
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use wavedeck_stages::dsp::lines::{peaks, power};

    use super::{super::fixtures, *};

    /// A sine of 3 units at 20 Hz in the second channel, noise in the first.
    fn analyzer(frames: u64) -> Analyzer {
        let mut analyzer = Analyzer::new(&fixtures::stream(2, 250.0));
        analyzer.look_at(1, None);
        feed(&mut analyzer, 0, frames);
        analyzer.refresh();
        analyzer
    }

    fn feed(analyzer: &mut Analyzer, first: u64, end: u64) {
        for at in (first..end).step_by(25) {
            let data: Vec<f32> = (at..at + 25)
                .flat_map(|n| {
                    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    let noise = ((mixed ^ mixed >> 32) & 0xff_ffff) as f64 / f64::from(1 << 24) - 0.5;
                    [noise as f32, (3.0 * (TAU * 20.0 * n as f64 / 250.0).sin() + 0.01 * noise) as f32]
                })
                .collect();
            analyzer.ingest(&fixtures::header(at, 25, 2), &data);
        }
    }

    #[test]
    fn a_sine_is_one_peak_with_its_frequency_and_rms() {
        let analyzer = analyzer(2500);
        let shown = analyzer.shown();
        assert_eq!((shown.size, shown.windows), (512, 7));

        let peaks = peaks(&shown.density, shown.bin_hz(), 5);

        assert!((peaks[0].hz - 20.0).abs() < 0.05, "{peaks:?}");
        assert!((peaks[0].rms - 3.0 / 2_f64.sqrt()).abs() < 0.03, "{peaks:?}");
        assert!(peaks.iter().skip(1).all(|peak| peak.rms < 0.01), "{peaks:?}");
        let beta = power(&shown.density, shown.bin_hz(), 13.0, 30.0);
        assert!((beta - 4.5).abs() < 0.05, "{beta}");
    }

    #[test]
    fn noise_has_no_peaks() {
        let mut analyzer = analyzer(2500);
        analyzer.look_at(0, None);
        analyzer.refresh();
        let shown = analyzer.shown();
        assert_eq!(shown.channel, 0);
        assert_eq!(shown.windows, 7, "another channel is known at once");
        assert_eq!(peaks(&shown.density, shown.bin_hz(), 5), []);
    }

    #[test]
    fn rows_come_four_times_a_second_and_none_reaches_over_a_gap() {
        let mut analyzer = analyzer(1000);
        let first = analyzer.shown().rows.front().expect("a row").number;
        assert_eq!(first, 512_u64.div_ceil(63), "{first}");
        let before = analyzer.shown().rows.len();
        feed(&mut analyzer, 1100, 1600);
        assert_eq!(analyzer.shown().rows.len(), before, "no window is full since the gap");
        assert_eq!(analyzer.shown().gathered, 500);
        feed(&mut analyzer, 1600, 1725);
        let numbers: Vec<u64> = analyzer.shown().rows.iter().map(|row| row.number).collect();
        assert!(numbers.windows(2).any(|pair| pair[1] > pair[0] + 1), "{numbers:?}");
    }

    #[test]
    fn windows_of_many_fast_channels_are_shorter_and_what_is_no_number_is_nothing() {
        assert_eq!(usual_size(250.0, 8), 512);
        assert_eq!(usual_size(100_000.0, 8), 16_384);
        assert_eq!(usual_size(100_000.0, 256), 4096);
        assert_eq!(usual_size(1.0, 1), 64);
        let mut analyzer = Analyzer::new(&fixtures::stream(1, 250.0));
        analyzer.ingest(&fixtures::header(0, 1000, 1), &[f32::NAN; 1000]);
        analyzer.refresh();
        assert!(analyzer.shown().density.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn bands_end_at_half_the_rate() {
        let names = |rate| bands(rate).iter().map(|band| band.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(250.0), ["delta", "theta", "alpha", "beta", "gamma", "high"]);
        assert_eq!(bands(250.0).last().map(|band| band.high_hz), Some(125.0));
        assert_eq!(names(30_000.0).len(), 4);
        assert_eq!(bands(1.0).last().map(|band| band.high_hz), Some(0.5));
    }
}
