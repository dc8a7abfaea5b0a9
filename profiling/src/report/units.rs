//! Numbers as people read them: nanoseconds, bytes and counts with their units, three digits that mean something.
//!
//! Used by the tables, the summary and the labels of the plots alike, so that one figure reads the same everywhere in a
//! report. Invariant: nothing that is not zero is ever written as zero, and zero is written as `0`. Each call allocates
//! its result; it runs after the measurement, never in it.

/// A time: `812 ns`, `12.3 µs`, `4.56 ms`, `7.89 s`.
#[must_use]
pub fn nanos(value_ns: f64) -> String {
    with_unit(value_ns, nanos_unit(value_ns))
}

/// The divisor and name of the unit in which a time of this size reads best.
pub(super) fn nanos_unit(value_ns: f64) -> (f64, &'static str) {
    match value_ns {
        v if v < 1e3 => (1.0, "ns"),
        v if v < 1e6 => (1e3, "µs"),
        v if v < 1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    }
}

/// A size: `812 B`, `12.3 KiB`, `4.56 MiB`, `7.89 GiB`.
#[must_use]
pub fn bytes(value: f64) -> String {
    with_unit(value, bytes_unit(value))
}

/// The divisor and name of the unit in which a size reads best.
pub(super) fn bytes_unit(value: f64) -> (f64, &'static str) {
    const KIB: f64 = 1024.0;
    match value {
        v if v < KIB => (1.0, "B"),
        v if v < KIB * KIB => (KIB, "KiB"),
        v if v < KIB * KIB * KIB => (KIB * KIB, "MiB"),
        _ => (KIB * KIB * KIB, "GiB"),
    }
}

/// A count or a mean of counts: `0`, `0.0123`, `812.5`, `1,234,567`.
///
/// Whole numbers keep every digit, fractions three digits that mean something and at least one after the point.
#[must_use]
pub fn count(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e15).contains(&value.abs()) {
        format!("{value:.2e}")
    } else if value.fract() == 0.0 {
        grouped(&format!("{value:.0}"))
    } else if value.abs() >= 99.95 {
        let text = format!("{value:.1}");
        let (whole, tenths) = text.split_once('.').unwrap_or((&text, "0"));
        format!("{}.{tenths}", grouped(whole))
    } else {
        significant(value)
    }
}

/// A ratio: `6.31x`; a dash where there is none because its lower side is zero.
#[must_use]
pub fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{}x", significant(v)))
}

/// A count of the program's, as a real number.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people and plots; exact below 2^53, which no count of a run reaches"
)]
pub(super) fn real(value: u64) -> f64 {
    value as f64
}

/// An axis label: like [`count`], without zeros that say nothing (`2`, `2.5`, `0.05`).
pub(super) fn tick(value: f64) -> String {
    let text = count(value);
    let (number, power) = text.find('e').map_or((text.as_str(), ""), |at| text.split_at(at));
    if !number.contains('.') {
        return text;
    }
    format!("{}{power}", number.trim_end_matches('0').trim_end_matches('.'))
}

fn with_unit(value: f64, (divisor, unit): (f64, &str)) -> String {
    if value == 0.0 {
        return format!("0 {unit}");
    }
    if divisor < 2.0 && value.fract() == 0.0 {
        return format!("{value:.0} {unit}");
    }
    format!("{} {unit}", significant(value / divisor))
}

/// Three significant digits, grouped by thousands, scientific where the number is out of all proportion.
fn significant(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".to_owned(),
        s if !(1e-4..1e15).contains(&s) => format!("{value:.2e}"),
        s if s < 0.000_999_5 => format!("{value:.6}"),
        s if s < 0.009_995 => format!("{value:.5}"),
        s if s < 0.099_95 => format!("{value:.4}"),
        s if s < 0.999_5 => format!("{value:.3}"),
        s if s < 9.995 => format!("{value:.2}"),
        s if s < 99.95 => format!("{value:.1}"),
        _ => grouped(&format!("{value:.0}")),
    }
}

/// `1234567` as `1,234,567`.
fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + sign.len());
    out.push_str(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_finds_its_unit() {
        assert_eq!(nanos(0.0), "0 ns");
        assert_eq!(nanos(812.0), "812 ns");
        assert_eq!(nanos(81.26), "81.3 ns");
        assert_eq!(nanos(12_345.0), "12.3 µs");
        assert_eq!(nanos(4.56e6), "4.56 ms");
        assert_eq!(nanos(7.2e12), "7,200 s");
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1023.0), "1023 B");
        assert_eq!(bytes(1536.0), "1.50 KiB");
        assert_eq!(bytes(3.0 * 1024.0 * 1024.0 * 1024.0), "3.00 GiB");
    }

    #[test]
    fn only_zero_reads_as_zero() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(0.000_02), "2.00e-5");
        assert_eq!(count(0.000_2), "0.000200");
        assert_eq!(count(0.012_345), "0.0123");
        assert_eq!(nanos(0.000_000_1), "1.00e-7 ns");
    }

    #[test]
    fn whole_counts_keep_their_digits() {
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(count(100.0), "100");
        assert_eq!(count(812.5), "812.5");
        assert_eq!(count(2318.5), "2,318.5");
        assert_eq!(count(1e300), "1.00e300");
        assert_eq!(tick(2.0), "2");
        assert_eq!(tick(2.5), "2.5");
        assert_eq!(tick(0.05), "0.05");
        assert_eq!(tick(1000.0), "1,000");
        assert_eq!(tick(1e-7), "1e-7");
    }

    #[test]
    fn a_ratio_over_nothing_is_a_dash() {
        assert_eq!(ratio(Some(6.312)), "6.31x");
        assert_eq!(ratio(None), "–");
    }
}
