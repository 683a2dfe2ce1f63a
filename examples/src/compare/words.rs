//! How numbers and names are written.

use super::results::Neighbour;

impl Neighbour {
    /// Where the client is: `alone`, `beside a silent one`.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Nobody => "alone",
            Self::Silent => "beside a silent one",
            Self::Crowd => "beside 16 silent ones",
            Self::Deaf => "beside one that never reads",
        }
    }

    /// The same above a column.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Nobody => "alone",
            Self::Silent => "1 silent",
            Self::Crowd => "16 silent",
            Self::Deaf => "1 never reads",
        }
    }
}

/// `123,456`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `text` in lines of a terminal.
pub(super) fn wrapped(text: &str) -> String {
    const WIDTH: usize = 96;
    let (mut lines, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        let (more, is_first) = (word.chars().count(), length == 0);
        if !is_first && length + 1 + more > WIDTH {
            lines.push('\n');
            length = 0;
        } else if !is_first {
            lines.push(' ');
            length += 1;
        }
        lines += word;
        length += more;
    }
    lines
}

/// With as many digits as tell something: `0.02`, `1.53`, `15.3`, `153`, `15,342`.
pub(super) fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => thousands(value.round() as u64),
    }
}

/// Microseconds, in the unit that fits: `34 µs`, `1.20 ms`.
pub(super) fn time(microseconds: f64) -> String {
    match microseconds {
        few if few < 999.5 => format!("{} µs", number(few)),
        some if some < 999_500.0 => format!("{} ms", number(some / 1e3)),
        many => format!("{} s", number(many / 1e6)),
    }
}

/// Bytes as KiB, without the unit.
pub(super) fn kibibytes(bytes: f64) -> String {
    number(bytes / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_or_all() {
        let written: Vec<_> = [0.0, 0.0234, 1.534, 15.34, 99.96, 153.4, 15_342.0].into_iter().map(number).collect();
        assert_eq!(written, ["0", "0.02", "1.53", "15.3", "100", "153", "15,342"]);
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn a_line_holds_as_many_words_as_fit() {
        let words = "word ".repeat(40);
        let lines: Vec<_> = wrapped(words.trim_end()).lines().map(str::len).collect();
        assert_eq!(lines, [94, 94, 9]);
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let written: Vec<_> = [34.2, 999.4, 1_200.0, 2_000_000.0].into_iter().map(time).collect();
        assert_eq!(written, ["34.2 µs", "999 µs", "1.20 ms", "2.00 s"]);
        assert_eq!(kibibytes(2_048.0), "2.00");
    }
}
