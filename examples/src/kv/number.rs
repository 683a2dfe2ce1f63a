//! Numbers as Redis reads them.

/// A decimal number in the one way to write it: no `+`, no spaces, no zero in front.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        b"0" if digits.len() == text.len() => return Some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {}
        _ => return None,
    }
    // Only digits are left: what can still go wrong is their number.
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn there_is_one_way_to_write_a_number() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        let others =
            ["", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "1\n", "\u{661}"];
        for text in others {
            assert_eq!(integer(text.as_bytes()), None, "'{text}'");
        }
    }
}
