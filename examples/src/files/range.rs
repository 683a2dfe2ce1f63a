//! Which bytes a `Range` asks for.

use std::ops::Range;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of them: nothing was asked, or what may be ignored, several ranges for instance.
    Whole,
    /// At least one.
    Part(Range<u64>),
    /// None that exist.
    Nothing,
}

/// What `range` asks for of `size` bytes.
pub(super) fn asked(range: Option<&str>, size: u64) -> Asked {
    let bounds = range.and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.split_once('-'));
    let Some((first, last)) = bounds else { return Asked::Whole };
    let part = match (position(first), position(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        // So many at the end.
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Asked::Whole,
    };
    if part.is_empty() { Asked::Nothing } else { Asked::Part(part) }
}

/// A number of digits alone; one that is too large is beyond every file.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Asked, asked};

    #[test]
    fn a_range_is_what_it_says_or_nothing_special() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-11", 0..10),
            ("bytes=9-99999999999999999999", 9..10),
        ] {
            assert_eq!(asked(Some(range), 10), Asked::Part(part), "{range}");
        }
        for range in ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(asked(Some(range), 10), Asked::Nothing, "{range}");
        }
        for range in ["bytes=5-2", "bytes=-", "bytes=+1-2", "bytes=1-2,4-5", "lines=1-2", "bytes=a-b", "bytes=1"] {
            assert_eq!(asked(Some(range), 10), Asked::Whole, "{range}");
        }
        assert_eq!(asked(None, 10), Asked::Whole);
        assert_eq!(asked(Some("bytes=-1"), 0), Asked::Nothing);
    }
}
