//! All there is to know of the samples before the first is written.
use super::{ExportError, Frames, Gap, Header, Mark, Notes, Sink, Values};

/// Smallest and largest value of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Smallest.
    pub min: f64,
    /// Largest; below `min` if there is no value at all.
    pub max: f64,
}

/// What a first pass over the samples finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// Per channel, in counts for a stream of counts; values that are no finite numbers are left out.
    pub extents: Vec<Extent>,
    /// Values that are no finite numbers.
    pub not_finite: u64,
    /// Index after the last frame; 0 if there is none.
    pub end_index: u64,
    /// The marks.
    pub marks: Vec<Mark>,
    /// The gaps.
    pub gaps: Vec<Gap>,
}

impl Sink for Survey {
    fn begin(&mut self, header: &Header<'_>, _: Option<&Survey>) -> Result<(), ExportError> {
        self.extents = vec![Extent { min: f64::INFINITY, max: f64::NEG_INFINITY }; header.channels.len()];
        Ok(())
    }

    fn gap(&mut self, gap: &Gap) -> Result<(), ExportError> {
        self.gaps.push(gap.clone());
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), ExportError> {
        self.marks.push(mark.clone());
        Ok(())
    }

    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError> {
        let width = self.extents.len();
        match frames.values {
            Values::Counts(counts) => {
                let mut ends = vec![(i32::MAX, i32::MIN); width];
                for frame in counts.chunks_exact(width) {
                    for ((min, max), count) in ends.iter_mut().zip(frame) {
                        *min = (*min).min(*count);
                        *max = (*max).max(*count);
                    }
                }
                for (extent, (min, max)) in self.extents.iter_mut().zip(ends) {
                    extent.min = extent.min.min(f64::from(min));
                    extent.max = extent.max.max(f64::from(max));
                }
            }
            Values::Physical(values) => {
                for frame in values.chunks_exact(width) {
                    for (extent, value) in self.extents.iter_mut().zip(frame) {
                        if value.is_finite() {
                            extent.min = extent.min.min(f64::from(*value));
                            extent.max = extent.max.max(f64::from(*value));
                        } else {
                            self.not_finite += 1;
                        }
                    }
                }
            }
        }
        self.end_index = frames.first_index + (frames.values.len() / width) as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Notes, ExportError> {
        Ok(Notes::default())
    }
}
