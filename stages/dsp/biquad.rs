//! Designs of second-order sections: Butterworth corners and the notch.
use std::f64::consts::PI;

/// One section `H(z) = (b0 + b1 z^-1 + b2 z^-2) / (1 + a1 z^-1 + a2 z^-2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Section {
    /// Numerator.
    pub b: [f64; 3],
    /// Denominator after the leading 1.
    pub a: [f64; 2],
    /// Gain at 0 Hz by design: 1, or 0 for a high-pass.
    pub dc_gain: f64,
}

/// Which side of the corner passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Below the corner.
    Low,
    /// Above the corner.
    High,
}

/// Butterworth filter of even `order` as `order / 2` sections, -3.01 dB at `corner_hz`, which lies between 0 and half
/// of `rate_hz`. Bilinear transform of the analog prototype with the corner prewarped: Oppenheim & Schafer,
/// Discrete-Time Signal Processing, 3rd ed., 7.2.2 and 7.3; one section for each pair of poles, the sharpest first.
pub fn butterworth(pass: Pass, order: usize, corner_hz: f64, rate_hz: f64) -> impl Iterator<Item = Section> {
    let k = (PI * corner_hz / rate_hz).tan();
    (0..order / 2).map(move |pair| {
        // The poles of the prototype are exp(+-j (pi/2 + angle)): 1/Q = 2 sin(angle).
        let angle = PI * (2 * pair + 1) as f64 / (2 * order) as f64;
        let damping = 2.0 * angle.sin() * k;
        let norm = 1.0 / (1.0 + damping + k * k);
        let a = [2.0 * (k * k - 1.0) * norm, (1.0 - damping + k * k) * norm];
        match pass {
            Pass::Low => Section { b: [k * k * norm, 2.0 * k * k * norm, k * k * norm], a, dc_gain: 1.0 },
            Pass::High => Section { b: [norm, -2.0 * norm, norm], a, dc_gain: 0.0 },
        }
    })
}

/// Notch at `center_hz`, `center_hz / q` wide between its -3.01 dB points. Orfanidis, Introduction to Signal
/// Processing, 11.3, as in `scipy.signal.iirnotch`.
pub fn notch(center_hz: f64, q: f64, rate_hz: f64) -> Section {
    let center = 2.0 * PI * center_hz / rate_hz;
    let gain = 1.0 / (1.0 + (center / q / 2.0).tan());
    let middle = -2.0 * gain * center.cos();
    Section { b: [gain, middle, gain], a: [middle, 2.0 * gain - 1.0], dc_gain: 1.0 }
}

/// |H| at `hz` of sections in a row, evaluated from the coefficients.
#[cfg(test)]
pub(super) fn gain_at(sections: &[Section], hz: f64, rate_hz: f64) -> f64 {
    let w = 2.0 * PI * hz / rate_hz;
    let size = |c: [f64; 3]| {
        let real = c[0] + c[1] * w.cos() + c[2] * (2.0 * w).cos();
        let imaginary = c[1] * w.sin() + c[2] * (2.0 * w).sin();
        real.hypot(imaginary)
    };
    sections.iter().map(|s| size(s.b) / size([1.0, s.a[0], s.a[1]])).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_is_that_of_the_analog_butterworth_filter_bent_by_the_bilinear_transform() {
        for (order, corner, rate) in [(2, 1.0, 250.0), (4, 45.0, 250.0), (6, 0.1, 1000.0), (8, 3000.0, 30_000.0)] {
            let low: Vec<_> = butterworth(Pass::Low, order, corner, rate).collect();
            let high: Vec<_> = butterworth(Pass::High, order, corner, rate).collect();
            for part in [0.1, 0.5, 1.0, 1.3, 2.0] {
                let ratio = (PI * corner * part / rate).tan() / (PI * corner / rate).tan();
                let expected = |ratio: f64| 1.0 / (1.0 + ratio.powi(2 * order as i32)).sqrt();
                let (low, high) = (gain_at(&low, corner * part, rate), gain_at(&high, corner * part, rate));
                assert!((low - expected(ratio)).abs() < 1e-6, "low {order} {corner} {part}: {low}");
                assert!((high - expected(1.0 / ratio)).abs() < 1e-6, "high {order} {corner} {part}: {high}");
            }
        }
    }

    #[test]
    fn the_corner_lies_at_minus_3_decibels_and_the_ends_at_0_and_1() {
        for pass in [Pass::Low, Pass::High] {
            let sections: Vec<_> = butterworth(pass, 4, 45.0, 250.0).collect();
            let decibels = 20.0 * gain_at(&sections, 45.0, 250.0).log10();
            assert!((decibels + 3.0103).abs() < 1e-4, "{decibels}");
            let (dc, nyquist) = (gain_at(&sections, 0.0, 250.0), gain_at(&sections, 125.0, 250.0));
            let (passed, stopped) = if pass == Pass::Low { (dc, nyquist) } else { (nyquist, dc) };
            assert!((passed - 1.0).abs() < 1e-12 && stopped < 1e-12, "{pass:?} {passed} {stopped}");
        }
    }

    #[test]
    fn a_notch_is_deep_in_the_middle_as_wide_as_asked_and_leaves_the_ends_alone() {
        let section = [notch(50.0, 30.0, 250.0)];
        assert!(gain_at(&section, 50.0, 250.0) < 1e-12);
        assert!((gain_at(&section, 0.0, 250.0) - 1.0).abs() < 1e-12);
        assert!((gain_at(&section, 125.0, 250.0) - 1.0).abs() < 1e-12);
        let middle = (2.0 * PI * 50.0 / 250.0_f64).cos();
        for hz in [45.0, 49.0, 49.9, 50.5, 60.0] {
            let w = 2.0 * PI * hz / 250.0;
            let skirt = (PI * 50.0 / 30.0 / 250.0_f64).tan() * w.sin();
            let expected = (w.cos() - middle).abs() / (w.cos() - middle).hypot(skirt);
            assert!((gain_at(&section, hz, 250.0) - expected).abs() < 1e-9, "{hz}");
        }
    }

    #[test]
    fn the_lowest_corner_allowed_keeps_its_level() {
        let low: Vec<_> = butterworth(Pass::Low, 8, 0.01, 30_000.0).collect();
        let level: f64 = low.iter().map(|s| s.b.iter().sum::<f64>() / (1.0 + s.a[0] + s.a[1])).product();
        assert!((level - 1.0).abs() < 1e-3, "{level}");
    }
}
