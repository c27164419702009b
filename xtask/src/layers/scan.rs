//! Reads Rust sources as far as the rules need it: code without comments, paths that name modules.
//!
//! Not a parser: macros are seen as written, not as expanded.

/// Blanks out comments and, when `strings` says so, what is inside string literals; keeps lines.
pub(super) fn code(source: &str, strings: Strings) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let (length, keep) = match next {
            '/' if rest.starts_with("//") => (line_length(rest), false),
            '/' if rest.starts_with("/*") => (comment_length(rest), false),
            'r' if raw_string_length(rest).is_some() && !ends_in_word(&code) => (
                raw_string_length(rest).unwrap_or(1),
                strings == Strings::Kept,
            ),
            '"' => (string_length(rest), strings == Strings::Kept),
            // A quote of one character, so that '"' begins no string; a lifetime is just skipped.
            '\'' => (char_length(rest), true),
            other => (other.len_utf8(), true),
        };
        let (taken, after) = rest.split_at(length.min(rest.len()));
        if keep {
            code.push_str(taken);
        } else {
            code.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    code
}

/// What becomes of string literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strings {
    Kept,
    Blanked,
}

/// The modules at the root of the crate that `code` names, each with its line.
///
/// `depth` is how many modules the file is below the root: so many `super::` lead there.
pub(super) fn root_modules(code: &str, depth: usize) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(depth.max(1));
    let mut found = Vec::new();
    for prefix in ["crate::", &to_root] {
        if depth == 0 && prefix != "crate::" {
            continue; // In lib.rs `super` does not exist.
        }
        for (at, _) in code.match_indices(prefix) {
            let (before, after) = code.split_at(at);
            if ends_in_word(before) || before.ends_with("super::") {
                continue;
            }
            let after = after.get(prefix.len()..).unwrap_or("");
            for (offset, name) in heads(after) {
                let line = before.matches('\n').count()
                    + after.get(..offset).unwrap_or("").matches('\n').count()
                    + 1;
                found.push((line, name));
            }
        }
    }
    found.sort();
    found
}

/// The first segment of each path of `a::b` or `{a::b, c, d::{e, f}}`, with its offset.
fn heads(path: &str) -> Vec<(usize, String)> {
    if !path.starts_with('{') {
        return vec![(0, word(path).to_owned())];
    }
    let mut heads = Vec::new();
    let (mut depth, mut expecting) = (0_usize, false);
    for (offset, character) in path.char_indices() {
        match character {
            '{' => {
                depth += 1;
                expecting = depth == 1;
            }
            '}' => depth -= 1,
            ',' => expecting = depth == 1,
            other if expecting && !other.is_whitespace() => {
                heads.push((offset, word(path.get(offset..).unwrap_or("")).to_owned()));
                expecting = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

fn ends_in_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(is_word)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn raw_string_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let body = rest.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(2 + hashes + length)
}

fn char_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    let second = characters.next();
    let end = match second {
        Some((_, '\\')) => text
            .get(3..)
            .and_then(|rest| rest.find('\''))
            .map(|at| at + 4),
        _ => characters
            .next()
            .filter(|(_, c)| *c == '\'')
            .map(|(at, _)| at + 1),
    };
    end.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_lines_stay() {
        let source = "a // crate::pg\n/* x\n/* y */ z */b '\"' c \"// d\" r#\"/* \"e\" */\"#f 'x g";

        let kept = code(source, Strings::Kept);
        let blanked = code(source, Strings::Blanked);

        assert_eq!(
            kept.split_whitespace().collect::<Vec<_>>().join(" "),
            "a b '\"' c \"// d\" r#\"/* \"e\" */\"#f 'x g",
        );
        assert_eq!(
            blanked.split_whitespace().collect::<Vec<_>>().join(" "),
            "a b '\"' c f 'x g",
        );
        assert_eq!(kept.lines().count(), source.lines().count());
    }

    #[test]
    fn modules_are_found_in_paths_and_groups() {
        let code = "use crate::pg;\nuse crate::{\n  app::{self, nats},\n  http::x,\n};\nmycrate::redis::y()";

        let found = root_modules(code, 1);

        let expected = [(1, "pg"), (3, "app"), (4, "http")];
        assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
    }

    #[test]
    fn as_many_supers_as_the_file_is_deep_lead_to_the_root() {
        let code = "use super::super::pg;\nuse super::sibling;";

        assert_eq!(root_modules(code, 2), [(1, "pg".to_owned())]);
        assert_eq!(root_modules(code, 3), []);
    }
}
