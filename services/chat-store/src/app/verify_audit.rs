//! Finds what was changed in the log of accesses after it was written.
//!
//! It computes every hash anew, in code of its own and not in the database's. A chain that was written
//! anew from some place on is whole in itself: that shows only to whoever knows a [`Link`] of before.

use std::fmt;

use chat_domain::{AppId, ChatError};
use sha2::{Digest as _, Sha256};

use crate::ports_audit::{AuditLog, Hash, Head, Link, Recorded};

/// Rows read at a time.
const PAGE: u32 = 5_000;
/// Most findings of a chain: past one inserted row, all rows have another place.
const MAX_FINDINGS: usize = 20;

/// What is wrong with a chain, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// No row is at these places, from the first to the last.
    Missing(u64, u64),
    /// The row there is not the one that was written: edited, put there, or taken from elsewhere.
    Altered(u64),
    /// The row there was added to the end by hand.
    Added(u64),
    /// What is at this place now is not what was known to be there.
    Unknown(u64),
}

/// What was looked at, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Whose.
    pub app: AppId,
    /// How many rows were read.
    pub n_rows: u64,
    /// The newest row.
    pub end: Link,
    /// What is wrong, oldest first; at most 20 findings.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(first, last) if first == last => write!(f, "row {first} is missing"),
            Self::Missing(first, last) => write!(f, "rows {first} to {last} are missing"),
            Self::Altered(place) => write!(f, "row {place} is not the one that was written"),
            Self::Added(place) => write!(f, "from row {place} on, rows were added by hand"),
            Self::Unknown(place) => write!(
                f,
                "row {place} is not the one that was known; it or rows before it were written anew"
            ),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (app, link) = (self.app.clone(), self.end);
        let (rows, head) = (self.n_rows, Head { app, link });
        if self.findings.is_empty() {
            return writeln!(
                f,
                "{}: {rows} rows as they were written; head {head}",
                self.app
            );
        }
        let findings = &mut self.findings.iter();
        findings.try_for_each(|finding| writeln!(f, "{}: {finding}", self.app))
    }
}

/// Reads the chain of an app; `known` are links of it that were kept elsewhere: in the services' logs
/// (`audit head`), in certificates, by who asked for the head. Where old rows were `dropped`, the chain
/// begins behind the last of them.
///
/// # Errors
///
/// Returns [`ChatError::Unavailable`] while the database is.
pub async fn verify_audit(
    log: &dyn AuditLog,
    app: &AppId,
    known: &[Link],
    dropped: Option<Link>,
) -> Result<Chain, ChatError> {
    let beginning = Link {
        place: 0,
        hash: Sha256::digest(app.as_str()).into(),
    };
    let mut reader = Reader {
        app,
        known,
        n_rows: 0,
        end: dropped.unwrap_or(beginning),
        findings: Vec::new(),
    };
    let end = loop {
        reader.read_on(log).await?;
        let ends = log.list_ends().await?;
        let end = ends.into_iter().find(|(of, _)| of == app);
        let end = end.map_or(0, |(_, link)| link.place);
        // What was written meanwhile is there.
        if end <= reader.end.place || !reader.read_on(log).await? {
            break end;
        }
    };
    let last = reader.end.place;
    if last < end {
        reader.find(Finding::Missing(last + 1, end));
    } else if end < last {
        reader.find(Finding::Added(end + 1));
    }
    for link in known {
        if last < link.place && end < link.place {
            reader.find(Finding::Missing(last + 1, link.place));
        }
    }
    Ok(Chain {
        app: app.clone(),
        n_rows: reader.n_rows,
        end: reader.end,
        findings: reader.findings,
    })
}

struct Reader<'a> {
    app: &'a AppId,
    known: &'a [Link],
    n_rows: u64,
    end: Link,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    /// Reads to the end there is now; returns whether there was anything.
    async fn read_on(&mut self, log: &dyn AuditLog) -> Result<bool, ChatError> {
        let before = self.end.place;
        loop {
            let rows = log.list_recorded(self.app, self.end.place, PAGE).await?;
            let is_last = rows.len() < PAGE as usize;
            for row in &rows {
                self.check(row);
            }
            if is_last {
                return Ok(before < self.end.place);
            }
        }
    }

    fn check(&mut self, row: &Recorded) {
        let due = self.end.place + 1;
        // As it is stored, so that one wrong row is one finding.
        let stored = Hash::try_from(&row.hash[..]).ok();
        let hash = hash(self.app, &self.end.hash, row);
        if due < row.place {
            self.find(Finding::Missing(due, row.place - 1));
        } else if stored != Some(hash) {
            self.find(Finding::Altered(row.place));
        }
        self.end = Link {
            place: row.place,
            hash: stored.unwrap_or(hash),
        };
        self.n_rows += 1;
        let end = self.end;
        let is_other = |link: &&Link| link.place == end.place && link.hash != end.hash;
        if self.known.iter().any(|link| is_other(&link)) {
            self.find(Finding::Unknown(end.place));
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// The hash of a row behind another, as `record_accesses` in the migrations makes it.
fn hash(app: &AppId, before: &Hash, row: &Recorded) -> Hash {
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let conversation = row.conversation.map(|id| id.to_string());
    let (first, last) = (number(row.first_seq), number(row.last_seq));
    let (place, at) = (row.place.to_string(), row.at_us.to_string());
    let mut hasher = Sha256::new_with_prefix(before);
    for field in [
        Some(app.as_str()),
        Some(&place),
        Some(&at),
        Some(&row.actor),
        Some(&row.action),
        Some(&row.outcome),
        row.device.as_deref(),
        row.subject.as_deref(),
        conversation.as_deref(),
        first.as_deref(),
        last.as_deref(),
        row.detail.as_deref(),
    ] {
        match field {
            Some(text) => hasher.update(format!("{}:{text}", text.len())),
            None => hasher.update("-"),
        }
    }
    hasher.finalize().into()
}
