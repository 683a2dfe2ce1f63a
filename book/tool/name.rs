//! How items are called: the spellings that a listing may use, and the nearest of them to a wrong one.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Tokens as text with spaces only where words need them, so that spacing plays no part.
pub(crate) fn squeeze(tokens: TokenStream) -> String {
    let mut text = String::new();
    push(tokens, &mut text);
    text
}

fn push(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                push(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => text.push(punct.as_char()),
            word => {
                let word = word.to_string();
                // The words between two types stand free, whatever the types end or begin with.
                let stands_free = matches!(word.as_str(), "as" | "for" | "impl");
                let runs_together = text.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                if runs_together || (stands_free && text.ends_with('>')) {
                    text.push(' ');
                }
                text.push_str(&word);
                if stands_free {
                    text.push(' ');
                }
            }
        }
    }
}

/// A squeezed type or trait without its generics and without the modules before its name: `io::Ready<T>` is `Ready`.
pub(crate) fn short(squeezed: &str) -> String {
    let mut depth = 0usize;
    let mut before = ' ';
    let mut text = String::new();
    for c in squeezed.chars() {
        match c {
            '<' => depth += 1,
            // The arrow of a function type closes nothing.
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ if depth == 0 => text.push(c),
            _ => {}
        }
        before = c;
    }
    let is_path = text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    match text.rsplit_once("::") {
        Some((_, last)) if is_path => last.to_owned(),
        _ => text,
    }
}

/// What a listing wrote, in the spelling that the index uses.
pub(crate) fn canonical(query: &str) -> Result<String, String> {
    let tokens = TokenStream::from_str(query).map_err(|error| error.to_string())?;
    let name = squeeze(tokens);
    // `Trait for Type` and `impl Trait for Type` are the same block; `step!` and `step` the same macro.
    let name = match name.strip_prefix("impl ") {
        Some(rest) if rest.contains(" for ") => rest,
        _ => &name,
    };
    Ok(name.strip_suffix('!').unwrap_or(name).to_owned())
}

/// Up to three of `names` that are nearest to `wanted`, the nearest first.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let last = last_word(wanted);
    let mut ranked: Vec<(bool, usize, &str)> =
        names.map(|name| (last_word(name) != last, distance(wanted, name), name)).collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.into_iter().take(3).map(|(_, _, name)| name).collect()
}

fn last_word(name: &str) -> &str {
    name.rsplit([':', ' ']).next().unwrap_or(name)
}

/// The number of characters to insert, delete or replace (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
