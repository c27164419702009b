//! Whether this process wants traffic, and how its dependencies are.
//!
//! The two are apart on purpose: readiness never follows a dependency. When NATS fails, all replicas
//! would leave the load balancer at once, and stock clients give up for good after five attempts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use metrics::gauge;
use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::Lifecycle;

/// The health of a process. Clones share it.
#[derive(Debug, Clone)]
pub struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    started: AtomicBool,
    draining: CancellationToken,
    dependencies: Mutex<BTreeMap<&'static str, Condition>>,
}

/// How a dependency is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Condition {
    Unknown,
    Up,
    Down { reason: String },
}

/// Whether traffic is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Readiness {
    Starting,
    Ready,
    Draining,
}

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) status: Readiness,
    dependencies: BTreeMap<&'static str, Condition>,
}

impl Health {
    /// Returns the health of a process that has not started, and that drains with `lifecycle`.
    #[must_use]
    pub fn new(lifecycle: &Lifecycle) -> Self {
        Self(Arc::new(Shared {
            started: AtomicBool::new(false),
            draining: lifecycle.soft(),
            dependencies: Mutex::default(),
        }))
    }

    /// Declares a dependency and returns the handle by which its state is reported.
    ///
    /// Until the first report its state is `unknown`.
    #[must_use]
    pub fn dependency(&self, name: &'static str) -> DependencyHealth {
        self.0.dependencies.lock().insert(name, Condition::Unknown);
        DependencyHealth {
            name,
            shared: Arc::clone(&self.0),
        }
    }

    /// Declares that the process is ready for traffic. [`crate::run`] does so when `start` returns.
    pub fn started(&self) {
        self.0.started.store(true, Ordering::Relaxed);
    }

    /// Tells whether the process has started.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.0.started.load(Ordering::Relaxed)
    }

    /// Tells whether the process wants traffic.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness() == Readiness::Ready
    }

    fn readiness(&self) -> Readiness {
        if self.0.draining.is_cancelled() {
            Readiness::Draining
        } else if self.has_started() {
            Readiness::Ready
        } else {
            Readiness::Starting
        }
    }

    pub(crate) fn report(&self) -> Report {
        Report {
            status: self.readiness(),
            dependencies: self.0.dependencies.lock().clone(),
        }
    }
}

/// Reports how one dependency is. Clones report on the same one.
#[derive(Debug, Clone)]
pub struct DependencyHealth {
    name: &'static str,
    shared: Arc<Shared>,
}

impl DependencyHealth {
    /// Reports that the dependency works.
    pub fn up(&self) {
        self.set(Condition::Up);
        gauge!("dependency_up", "dependency" => self.name).set(1.0);
    }

    /// Reports that the dependency fails. `reason` is shown on the admin port: nothing personal.
    pub fn down(&self, reason: impl Into<String>) {
        self.set_down(reason.into());
    }

    /// As [`Self::down`]; tells whether that is news.
    pub(crate) fn set_down(&self, reason: String) -> bool {
        gauge!("dependency_up", "dependency" => self.name).set(0.0);
        self.set(Condition::Down { reason })
    }

    /// Tells whether the last report was [`Self::up`].
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.dependencies.lock().get(self.name) == Some(&Condition::Up)
    }

    /// Returns the reason of the last report, unless that was [`Self::up`].
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self.shared.dependencies.lock().get(self.name)? {
            Condition::Down { reason } => Some(reason.clone()),
            Condition::Up => None,
            Condition::Unknown => None,
        }
    }

    fn set(&self, condition: Condition) -> bool {
        let mut dependencies = self.shared.dependencies.lock();
        let before = dependencies.insert(self.name, condition.clone());
        before != Some(condition)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn readiness_follows_start_and_drain_alone() {
        let lifecycle = Lifecycle::new();
        let health = Health::new(&lifecycle);
        let nats = health.dependency("nats");
        assert_eq!(health.report().status, Readiness::Starting);

        health.started();
        nats.down("connection refused");
        assert_eq!(health.report().status, Readiness::Ready);

        nats.up();
        lifecycle.soft().cancel();
        assert_eq!(health.report().status, Readiness::Draining);
    }

    #[test]
    fn the_report_lists_dependencies() {
        let health = Health::new(&Lifecycle::new());
        let _postgres = health.dependency("postgres");
        health.dependency("nats").down("connection refused");

        assert_eq!(
            serde_json::to_value(health.report()).unwrap(),
            json!({
                "status": "starting",
                "dependencies": {
                    "nats": { "status": "down", "reason": "connection refused" },
                    "postgres": { "status": "unknown" },
                },
            })
        );
    }
}
