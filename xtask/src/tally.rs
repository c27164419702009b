//! Counts passed and failed tests in what test runners print about themselves.
//!
//! Reads summaries only, and only where runners begin a line with them: they indent what a failed test
//! has printed, which may be the summary of another runner.

/// How many tests passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds the counts of another tally.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Adds what one line of a runner's output says, if it is a summary.
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colors(line);
        // cargo test: `test result: ok. 5 passed; 0 failed; 0 ignored; ..`
        // nextest: `   Summary [ 0.1s] 4 tests run: 2 passed (1 slow), 1 failed, 1 timed out, ..`
        if line.starts_with("test result: ") || line.trim_start().starts_with("Summary [") {
            let words: Vec<_> = line.split_whitespace().collect();
            for pair in words.windows(2) {
                if let [count, what] = pair {
                    self.count(count, what.trim_end_matches([',', ';']));
                }
            }
        }
        // node --test: `# pass 5` or, on a terminal, `ℹ pass 5`
        if let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))
            && let Some((what, count)) = rest.split_once(' ')
        {
            self.count(count.trim_end(), what);
        }
    }

    fn count(&mut self, count: &str, what: &str) {
        let Ok(count) = count.parse::<u64>() else {
            return;
        };
        match what {
            "passed" | "pass" => self.passed += count,
            // "timed" out; a "cancelled" test of node was cut off by its deadline or its parent.
            "failed" | "fail" | "timed" | "cancelled" => self.failed += count,
            _ => {}
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Drops the escape sequences that color a terminal.
fn without_colors(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, sequence)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = sequence.find(|c: char| c.is_ascii_alphabetic());
        rest = end.and_then(|end| sequence.get(end + 1..)).unwrap_or("");
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn tally(lines: &str) -> (u64, u64) {
        let mut tally = Tally::default();
        for line in lines.lines() {
            tally.read(line);
        }
        (tally.passed, tally.failed)
    }

    #[test]
    fn summaries_of_nextest_are_read() {
        let line = "     Summary [   0.1s] 9 tests run: 5 passed (1 slow, 2 leaky), 3 failed, \
                    1 timed out, 2 skipped";

        assert_eq!(tally(line), (5, 4));
    }

    #[test]
    fn summaries_of_cargo_test_are_added_up() {
        let lines = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out\n\
                     test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured";

        assert_eq!(tally(lines), (6, 2));
    }

    #[test]
    fn summaries_of_node_are_read_in_both_forms() {
        assert_eq!(
            tally("# tests 7\n# pass 5\n# fail 1\n# cancelled 1\n# skipped 3"),
            (5, 2)
        );
        assert_eq!(tally("ℹ pass 2\nℹ fail 0"), (2, 0));
    }

    #[test]
    fn colors_do_not_matter() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [ 0.1s] 2 tests run: \u{1b}[1m2\u{1b}[0m \
                    \u{1b}[32;1mpassed\u{1b}[0m";

        assert_eq!(tally(line), (2, 0));
    }

    #[test]
    fn other_lines_do_not_count() {
        assert_eq!(
            tally("3 passed\nPASS [ 0.1s] 5 failed\n# Subtest: pass 9"),
            (0, 0)
        );
    }
}
