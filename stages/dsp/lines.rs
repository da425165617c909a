//! What a power spectral density says: lines that stand out, and the power of ranges.

/// A line that stands out of a spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Where, between bins.
    pub hz: f64,
    /// Density at its top, in unit^2/Hz.
    pub density: f64,
    /// Root mean square of what it adds to the signal, in the unit.
    pub rms: f64,
    /// How far it stands out of what is around it, in dB.
    pub over_db: f64,
}

/// Least height of a peak over its surroundings, in dB.
const LEAST_OVER_DB: f64 = 10.0;
/// Least density of a peak as a part of the strongest bin.
const ROUNDING: f64 = 1e-9;
/// Bins that a line is wide through a Hann window, to each side.
const SIDE: usize = 2;

/// The lines that stand out most, strongest first.
pub fn peaks(density: &[f32], bin_hz: f64, most: usize) -> Vec<Peak> {
    let mut found = Vec::new();
    let reach = (density.len() / 24).clamp(8, 64);
    for bin in SIDE..density.len().saturating_sub(SIDE) {
        let here = density[bin];
        let is_top = density[bin - SIDE..bin].iter().all(|other| *other < here)
            && density[bin + 1..=bin + SIDE].iter().all(|other| *other <= here);
        if !is_top || here <= 0.0 {
            continue;
        }
        let around = bin.saturating_sub(reach)..(bin + reach + 1).min(density.len());
        let mut around: Vec<f32> = around.filter(|other| other.abs_diff(bin) > SIDE).map(|b| density[b]).collect();
        let middle = around.len() / 2;
        let (_, floor, _) = around.select_nth_unstable_by(middle, f32::total_cmp);
        let over_db = decibels(f64::from(here)) - decibels(f64::from(*floor));
        if over_db < LEAST_OVER_DB {
            continue;
        }
        // The top of a parabola through three values in dB.
        let [left, top, right] = [bin - 1, bin, bin + 1].map(|bin| decibels(f64::from(density[bin])));
        let shift = 0.5 * (left - right) / (left - 2.0 * top + right);
        let shift = if shift.is_finite() { shift.clamp(-0.5, 0.5) } else { 0.0 };
        let line = &density[bin - SIDE..=bin + SIDE];
        let power: f64 = line.iter().map(|value| f64::from((value - *floor).max(0.0))).sum::<f64>() * bin_hz;
        found.push(Peak { hz: (bin as f64 + shift) * bin_hz, density: f64::from(here), rms: power.sqrt(), over_db });
    }
    // Far below the strongest bin there is only what the arithmetic of 32 bits leaves.
    let strongest = density.iter().copied().fold(0.0, f32::max);
    found.retain(|peak: &Peak| peak.density > f64::from(strongest) * ROUNDING);
    found.sort_by(|a, b| b.rms.total_cmp(&a.rms));
    found.truncate(most);
    found
}

/// Power between two frequencies, in unit^2: the bins whose middle lies there.
pub fn power(density: &[f32], bin_hz: f64, low_hz: f64, high_hz: f64) -> f64 {
    let bins = (low_hz / bin_hz).ceil() as usize..((high_hz / bin_hz).ceil() as usize).min(density.len());
    density.get(bins).into_iter().flatten().map(|value| f64::from(*value)).sum::<f64>() * bin_hz
}

/// Ten times the decimal logarithm; nothing is as little as can be told apart from nothing.
pub fn decibels(power: f64) -> f64 {
    10.0 * power.max(1e-30).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White noise of 1 unit^2/Hz with a line of 100 over three bins around 40.
    fn density() -> Vec<f32> {
        let mut density = vec![1.0; 257];
        (density[39], density[40], density[41]) = (50.0, 100.0, 50.0);
        density
    }

    #[test]
    fn a_line_is_found_with_its_own_power_and_not_that_of_the_noise() {
        let found = peaks(&density(), 0.5, 3);
        assert_eq!(found.len(), 1);
        assert!((found[0].hz - 20.0).abs() < 1e-9, "{found:?}");
        // 49 + 99 + 49 over the noise, half a hertz each.
        assert!((found[0].rms - (197.0_f64 / 2.0).sqrt()).abs() < 1e-6, "{found:?}");
        assert!((found[0].over_db - 20.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn what_rounding_leaves_is_no_line() {
        let mut density: Vec<f32> = vec![1e-12; 257];
        (density[40], density[200]) = (100.0, 1e-10);
        assert_eq!(peaks(&density, 0.5, 3).iter().map(|peak| peak.hz).collect::<Vec<_>>(), [20.0]);
    }

    #[test]
    fn a_flat_or_empty_density_has_no_lines() {
        assert_eq!(peaks(&[0.0; 100], 1.0, 3), []);
        assert_eq!(peaks(&[1.0; 100], 1.0, 3), []);
        assert_eq!(peaks(&[], 1.0, 3), []);
    }

    #[test]
    fn power_is_that_of_the_bins_from_the_low_end_to_below_the_high_one() {
        assert!((power(&density(), 0.5, 0.0, 10.0) - 10.0).abs() < 1e-9);
        assert_eq!(power(&density(), 0.5, 1000.0, 2000.0), 0.0);
        assert_eq!(power(&density(), 0.5, 10.0, 5.0), 0.0);
    }
}
