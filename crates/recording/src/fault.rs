//! What is wrong with a file, place by place.
use std::fmt;

use serde::Serialize;

/// Faults that are listed; those beyond are counted.
const LISTED: usize = 100;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Position in the file.
    pub offset: u64,
    /// Number of the chunk it is in, from 0; `None` outside chunks.
    pub chunk: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What would be right; empty if that goes without saying.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.offset)?;
        if let Some(chunk) = self.chunk {
            write!(f, ", chunk {chunk}")?;
        }
        write!(f, ": {}", self.what)?;
        if self.expected.is_empty() { Ok(()) } else { write!(f, "; expected {}", self.expected) }
    }
}

/// Faults in the order they were found: the first hundred, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// The first ones.
    pub listed: Vec<Fault>,
    /// Those that are not listed.
    pub more: u64,
}

impl Faults {
    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Number of all.
    pub fn count(&self) -> u64 {
        self.listed.len() as u64 + self.more
    }

    pub(crate) fn add(
        &mut self,
        offset: u64,
        chunk: Option<u64>,
        what: impl Into<String>,
        expected: impl Into<String>,
    ) {
        if self.listed.len() < LISTED {
            self.listed.push(Fault { offset, chunk, what: what.into(), expected: expected.into() });
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn merge(&mut self, others: Self) {
        for fault in others.listed {
            self.add(fault.offset, fault.chunk, fault.what, fault.expected);
        }
        self.more += others.more;
    }

    /// Puts those that are listed in the order of the file.
    pub(crate) fn sort(&mut self) {
        self.listed.sort_by_key(|fault| fault.offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_faults_are_listed_and_the_rest_is_counted() {
        let mut faults = Faults::default();
        for n in 0..250 {
            faults.add(n, None, "odd", "");
        }

        assert_eq!((faults.listed.len(), faults.more, faults.count()), (100, 150, 250));
    }

    #[test]
    fn a_fault_names_place_value_and_what_would_be_right() {
        let fault = Fault { offset: 7, chunk: Some(2), what: "a sum is 3".into(), expected: "4".into() };

        assert_eq!(fault.to_string(), "byte 7, chunk 2: a sum is 3; expected 4");
    }
}
