//! Decimal numbers without rounding.
use wavedeck_api::signal::Rate;

/// `digits * 10^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) digits: i128,
    pub(super) exponent: i32,
}

impl Decimal {
    /// Reads a number such as `-12.50` or `4e-3`; at most 30 digits count.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (text, power) = match text.split_once(['e', 'E']) {
            Some((text, power)) => (text, power.parse::<i32>().ok().filter(|power| power.abs() < 1000)?),
            None => (text, 0),
        };
        let (is_negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() && part.is_empty() || text.len() > 400 {
            return None;
        }
        let (mut digits, mut exponent) = (0i128, power);
        for (is_part, byte) in whole.bytes().map(|byte| (false, byte)).chain(part.bytes().map(|byte| (true, byte))) {
            if !byte.is_ascii_digit() {
                return None;
            }
            let has_room = digits < 10i128.pow(29);
            if has_room {
                digits = 10 * digits + i128::from(byte - b'0');
            }
            exponent += i32::from(!has_room) - i32::from(is_part);
        }
        Some(Self { digits: if is_negative { -digits } else { digits }, exponent })
    }

    /// The number times a power of ten, rounded to the nearest integer.
    pub(super) fn scaled(self, power: i32) -> Option<i64> {
        let shift = self.exponent.checked_add(power)?;
        let scaled = if shift >= 0 {
            let factor = 10i128.checked_pow(shift.unsigned_abs());
            if self.digits == 0 { 0 } else { self.digits.checked_mul(factor?)? }
        } else {
            match 10i128.checked_pow(shift.unsigned_abs()) {
                Some(divisor) => (self.digits + self.digits.signum() * (divisor / 2)) / divisor,
                None => 0,
            }
        };
        i64::try_from(scaled).ok()
    }

    /// `n` divided by the number as a rate, exactly.
    pub(super) fn rate_of(self, n: u64) -> Option<Rate> {
        let mut fraction = (u128::from(n), u128::try_from(self.digits).ok()?);
        let factor = 10u128.checked_pow(self.exponent.unsigned_abs())?;
        let side = if self.exponent < 0 { &mut fraction.0 } else { &mut fraction.1 };
        *side = side.checked_mul(factor)?;
        let divisor = gcd(fraction.0, fraction.1).max(1);
        let part = |n: u128| u64::try_from(n / divisor).ok();
        Rate::new(part(fraction.0)?, part(fraction.1)?)
    }

    /// The number as a rate, exactly.
    pub(super) fn rate(self) -> Option<Rate> {
        let inverse = self.rate_of(1)?;
        Rate::new(inverse.denominator(), inverse.numerator())
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Samples to a time, rounded to the nearest; `None` beyond 2^60 or before the first.
pub(super) fn nearest_index(ns: i64, rate: Rate) -> Option<u64> {
    let ns = u128::try_from(ns).ok()?;
    let divisor = u128::from(rate.denominator()) * 1_000_000_000;
    let index = (ns.checked_mul(u128::from(rate.numerator()))?.checked_add(divisor / 2)?) / divisor;
    u64::try_from(index).ok().filter(|index| *index <= 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_to_the_last_digit() {
        let scaled = |text: &str, power| Decimal::parse(text).and_then(|decimal| decimal.scaled(power));
        assert_eq!(scaled("1795529858.1234567", 9), Some(1_795_529_858_123_456_700));
        assert_eq!(
            (scaled("-0.0000000005", 9), scaled("4e-3", 9), scaled("+.5", 0)),
            (Some(-1), Some(4_000_000), Some(1))
        );
        assert_eq!((scaled("0e900", 9), scaled("1e-900", 9), scaled("1e900", 9)), (Some(0), Some(0), None));
        for text in ["", "-", ".", "1.2.3", "1e", "0x1", "é", "NaN", "1 2"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_exact() {
        let of =
            |n, text: &str| Decimal::parse(text).and_then(|decimal| decimal.rate_of(n)).map(|rate| rate.to_string());
        assert_eq!(of(30, "1.001").as_deref(), Some("30000/1001"));
        assert_eq!(of(1, "6e1").as_deref(), Some("1/60"));
        assert_eq!((of(1, "0"), of(1, "-1"), of(0, "1"), of(1, "1e-40")), (None, None, None, None));
        assert_eq!(Decimal::parse("250.0").and_then(Decimal::rate), Rate::new(250, 1));
    }
}
