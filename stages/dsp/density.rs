//! Power spectral density of a window of samples: one-sided, in unit^2/Hz, of a periodic Hann window, scaled as
//! `scipy.signal.welch(scaling="density")` does: `2 |X[k]|^2 / (rate * sum(window^2))`, without the 2 at 0 Hz and at half
//! the rate.
use std::{f64::consts::PI, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex32};

/// Windowed Fourier transform of one channel at a time.
pub struct Density {
    plan: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    removes_mean: bool,
    /// Power of a bin in unit^2/Hz per squared magnitude, both sides taken together.
    scale: f32,
    samples: Vec<f32>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Density {
    /// For windows of `size` samples, an even number.
    pub fn new(size: usize, rate_hz: f64, removes_mean: bool) -> Self {
        let plan = RealFftPlanner::<f32>::new().plan_fft_forward(size);
        let hann = |n: usize| 0.5 - 0.5 * (2.0 * PI * n as f64 / size as f64).cos();
        let power: f64 = (0..size).map(|n| hann(n) * hann(n)).sum();
        Self {
            window: (0..size).map(|n| hann(n) as f32).collect(),
            removes_mean,
            scale: (2.0 / (rate_hz * power)) as f32,
            samples: plan.make_input_vec(),
            bins: plan.make_output_vec(),
            scratch: plan.make_scratch_vec(),
            plan,
        }
    }

    /// Puts the density of `samples`, a window of them in time order, into `density`, `size / 2 + 1` values.
    pub fn of<'a>(&mut self, samples: impl Iterator<Item = &'a f32> + Clone, density: &mut [f32]) {
        let mean = if self.removes_mean {
            let sum: f64 = samples.clone().map(|sample| f64::from(*sample)).sum();
            sum / self.samples.len() as f64
        } else {
            0.0
        };
        for ((to, sample), weight) in self.samples.iter_mut().zip(samples).zip(&self.window) {
            *to = (f64::from(*sample) - mean) as f32 * weight;
        }
        self.plan
            .process_with_scratch(&mut self.samples, &mut self.bins, &mut self.scratch)
            .expect("the buffers are those of the plan");
        for (value, bin) in density.iter_mut().zip(&self.bins) {
            *value = bin.norm_sqr() * self.scale;
        }
        // 0 Hz and half the rate have no mirror image.
        if let [first, .., last] = density {
            *first *= 0.5;
            *last *= 0.5;
        }
    }
}
