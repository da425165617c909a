//! What is wrong with a config: all of it, each finding with its place and a cure.
use std::fmt;

use serde::Serialize;

/// One finding about a config.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// JSON pointer to the place: `/stages/3/params/cutoff_hz`.
    pub at: String,
    /// What is wrong, with the value and the limit.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A finding with a cure.
    pub fn new(at: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint: String = hint.into();
        Self { at: at.into(), what: what.into(), hint: (!hint.is_empty()).then_some(hint) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.at.is_empty() { "/" } else { &self.at };
        write!(f, "{place}: {}", self.what)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n    {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a config, sorted by place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// File that they are in, if they come from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    list: Vec<Problem>,
}

impl Problems {
    /// `Ok` when nothing was found.
    ///
    /// # Errors
    /// All findings, in the order of their places.
    pub fn unless_none(mut found: Vec<Problem>) -> Result<(), Self> {
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by(|a, b| natural(&a.at).cmp(&natural(&b.at)).then_with(|| a.what.cmp(&b.what)));
        found.dedup();
        Err(Self { file: None, list: found })
    }

    /// A single finding.
    pub fn one(problem: Problem) -> Self {
        Self { file: None, list: vec![problem] }
    }

    /// The findings.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// The same findings with the name of the file they are in.
    #[must_use]
    pub fn in_file(self, file: impl Into<String>) -> Self {
        Self { file: Some(file.into()), ..self }
    }
}

/// Splits a pointer so that `/stages/10` comes after `/stages/2`.
fn natural(at: &str) -> Vec<(usize, &str)> {
    at.split('/').map(|part| part.parse::<usize>().map_or((usize::MAX, part), |number| (number, ""))).collect()
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        let file = self.file.as_deref().unwrap_or("the pipeline");
        writeln!(f, "{count} problem{} in {file}:", if count == 1 { "" } else { "s" })?;
        for problem in &self.list {
            writeln!(f, "  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_in_the_order_of_their_places() {
        let found = ["/stages/10/id", "/stages/2/id", "/name"].map(|at| Problem::new(at, "wrong", ""));
        let problems = Problems::unless_none(found.to_vec()).expect_err("three findings");
        let places: Vec<_> = problems.list().iter().map(|problem| problem.at.as_str()).collect();
        assert_eq!(places, ["/name", "/stages/2/id", "/stages/10/id"]);
    }
}
