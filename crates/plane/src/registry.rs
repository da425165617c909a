//! Which stage types there are: everything that is linked in.
use std::collections::BTreeMap;

use wavedeck_api::stage::StageDescriptor;

/// Stage types by id, in alphabetical order.
#[derive(Clone)]
pub struct StageRegistry {
    by_id: BTreeMap<&'static str, &'static StageDescriptor>,
}

/// Two stage types of one name.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("two stages are registered as `{0}`: rename one of them")]
pub struct DuplicateId(pub &'static str);

impl StageRegistry {
    /// Everything that is linked in.
    ///
    /// # Errors
    /// When two stage types have one id.
    pub fn linked() -> Result<Self, DuplicateId> {
        Self::of(wavedeck_api::inventory::iter::<StageDescriptor>)
    }

    /// These stage types and no others.
    ///
    /// # Errors
    /// When two stage types have one id.
    pub fn of(descriptors: impl IntoIterator<Item = &'static StageDescriptor>) -> Result<Self, DuplicateId> {
        let mut by_id = BTreeMap::new();
        for descriptor in descriptors {
            if by_id.insert(descriptor.id, descriptor).is_some() {
                return Err(DuplicateId(descriptor.id));
            }
        }
        Ok(Self { by_id })
    }

    /// The stage type of that name.
    pub fn get(&self, id: &str) -> Option<&'static StageDescriptor> {
        self.by_id.get(id).copied()
    }

    /// All stage types.
    pub fn iter(&self) -> impl Iterator<Item = &'static StageDescriptor> + '_ {
        self.by_id.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{PASS, SOURCE};

    #[test]
    fn two_stages_of_one_name_are_refused() {
        assert_eq!(StageRegistry::of([&PASS, &SOURCE, &PASS]).err(), Some(DuplicateId("pass")));
    }
}
