//! Writes the history: into memory for the checker, and as JSON lines for people.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use anyhow::Context as _;
use parking_lot::Mutex;

use crate::history::{Event, Record};

/// Shared by everybody who takes part.
#[derive(Debug, Clone)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
    began: Instant,
}

#[derive(Debug)]
struct Inner {
    records: Vec<Record>,
    operations: BTreeMap<String, u64>,
    file: BufWriter<File>,
    path: PathBuf,
}

impl Recorder {
    /// Begins a history at `path`.
    ///
    /// # Errors
    ///
    /// Returns that the file can't be written.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner {
                records: Vec::new(),
                operations: BTreeMap::new(),
                file: BufWriter::new(file),
                path: path.to_owned(),
            })),
            began: Instant::now(),
        })
    }

    /// Returns the time since the beginning, in microseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Adds what happened just now.
    pub fn note(&self, proc: &str, event: Event) {
        self.add(self.now(), None, proc, event);
    }

    /// Adds what was asked at `t_invoke` and answered just now.
    pub fn done(&self, t_invoke: u64, proc: &str, event: Event) {
        self.add(t_invoke, Some(self.now()), proc, event);
    }

    /// Adds what was asked at `t_invoke` and never answered.
    pub fn open(&self, t_invoke: u64, proc: &str, event: Event) {
        self.add(t_invoke, None, proc, event);
    }

    fn add(&self, t_invoke: u64, t_done: Option<u64>, proc: &str, event: Event) {
        let record = Record {
            t_invoke,
            t_done,
            proc: proc.to_owned(),
            event,
        };
        let line = serde_json::to_value(&record).unwrap_or_default();
        let mut inner = self.inner.lock();
        if let Some(op) = line["op"].as_str() {
            *inner.operations.entry(op.to_owned()).or_default() += 1;
        }
        // A full disk shows in the checker's input, which is in memory.
        let _ = writeln!(inner.file, "{line}");
        inner.records.push(record);
    }

    /// Returns how often each kind of record was added.
    #[must_use]
    pub fn operations(&self) -> BTreeMap<String, u64> {
        self.inner.lock().operations.clone()
    }

    /// Ends the history: returns it with the file it is in.
    #[must_use]
    pub fn finish(&self) -> (Vec<Record>, PathBuf) {
        let mut inner = self.inner.lock();
        let _ = inner.file.flush();
        (std::mem::take(&mut inner.records), inner.path.clone())
    }
}
