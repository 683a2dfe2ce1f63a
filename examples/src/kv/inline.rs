//! Commands as people type them: words, and quotes around those with spaces.

/// A quote that is not closed, or is not followed by a space.
#[derive(Debug)]
pub(super) struct Unbalanced;

/// Writes the words of `line` behind each other into `words`, without their quotes, and tells where each is.
pub(super) fn split(line: &[u8], words: &mut Vec<u8>, mut word: impl FnMut(usize, usize)) -> Result<(), Unbalanced> {
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let start = words.len();
        while let [byte, after @ ..] = rest {
            rest = match byte {
                b'"' => double_quoted(after, words)?,
                b'\'' => single_quoted(after, words)?,
                byte if byte.is_ascii_whitespace() => break,
                byte => {
                    words.push(*byte);
                    after
                }
            };
        }
        word(start, words.len());
        rest = rest.trim_ascii_start();
    }
    Ok(())
}

/// What comes behind the closing quote.
fn double_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        let (byte, after) = match rest {
            [b'"', after @ ..] => return behind_the_quote(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(*high) << 4 | hex(*low), after)
            }
            [b'\\', byte, after @ ..] => (escaped(*byte), after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(Unbalanced),
        };
        words.push(byte);
        rest = after;
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        let (byte, after) = match rest {
            [b'\'', after @ ..] => return behind_the_quote(after),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(Unbalanced),
        };
        words.push(byte);
        rest = after;
    }
}

fn behind_the_quote(rest: &[u8]) -> Result<&[u8], Unbalanced> {
    match rest.first() {
        Some(byte) if !byte.is_ascii_whitespace() => Err(Unbalanced),
        _ => Ok(rest),
    }
}

fn escaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        byte => byte,
    }
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or_default() as u8
}

#[cfg(test)]
mod tests {
    use super::split;

    fn words(line: &str) -> Option<Vec<String>> {
        let (mut text, mut ranges) = (Vec::new(), Vec::new());
        split(line.as_bytes(), &mut text, |start, end| ranges.push(start..end)).ok()?;
        Some(ranges.into_iter().map(|range| text[range].escape_ascii().to_string()).collect())
    }

    #[test]
    fn a_line_is_words_and_quotes() {
        for (line, expected) in [
            ("", &[][..]),
            (" \t ", &[]),
            ("get a", &["get", "a"]),
            ("  get\t  a  ", &["get", "a"]),
            (r#"set a "two words""#, &["set", "a", "two words"]),
            (r#"set "" ''"#, &["set", "", ""]),
            (r#"echo "\n\r\t\b\a\"\\\q""#, &["echo", r#"\n\r\t\x08\x07\"\\q"#]),
            (r#"echo "\x41\xzz\xfF""#, &["echo", r"Axzz\xff"]),
            (r"echo 'it\'s \n'", &["echo", r"it\'s \\n"]),
            (r#"echo mid"dle""#, &["echo", "middle"]),
        ] {
            assert_eq!(
                words(line).as_deref(),
                Some(&expected.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn a_quote_is_closed_and_followed_by_a_space() {
        for line in [r#"echo "a"#, "echo 'a", r#"echo "a"b"#, "echo 'a'b", r#"echo "a\""#, r#"echo "\"#, "echo '\\'"] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
