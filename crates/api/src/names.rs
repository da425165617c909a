//! Names that live as long as the program, for those that come from outside: of stage types, ports and the like.
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Deserializer, de::Error};

/// A name that is kept. Not written out where it is read by serde, which would borrow it.
pub type Name = &'static str;

/// Names that are kept. A program knows far fewer.
const MOST: usize = 4096;
/// Bytes of a name.
const LONGEST: usize = 120;

/// The same name for good, or `None` if it is too long or there are too many.
pub fn interned(name: &str) -> Option<&'static str> {
    static KNOWN: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(known) = known.get(name) {
        return Some(known);
    }
    if name.len() > LONGEST || known.len() >= MOST {
        return None;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    known.insert(kept);
    Some(kept)
}

/// Reads a name, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// When it cannot be kept.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<&'static str, D::Error> {
    kept(&String::deserialize(from)?)
}

/// Reads pairs of a name and something else.
///
/// # Errors
/// When a name cannot be kept.
pub fn deserialize_pairs<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<(&'static str, T)>, D::Error> {
    let pairs = Vec::<(String, T)>::deserialize(from)?;
    pairs.into_iter().map(|(name, value)| Ok((kept(&name)?, value))).collect()
}

fn kept<E: Error>(name: &str) -> Result<&'static str, E> {
    interned(name).ok_or_else(|| E::custom(format!("a name of at most {LONGEST} bytes, one of {MOST} at most")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_only_if_it_is_one() {
        let (first, second) = (interned("volts"), interned(&String::from("volts")));
        assert!(first.zip(second).is_some_and(|(a, b)| std::ptr::eq(a, b)));
        assert_eq!(interned(&"x".repeat(LONGEST + 1)), None);
    }
}
