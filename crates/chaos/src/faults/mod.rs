//! What goes wrong, and how it is healed. Each fault heals what it broke before it ends, so whatever
//! happens to the system is over when the lanes are.
//!
//! Two lanes run at the same time, one fault each: one breaks our services and their links, the other
//! the servers beneath them and the clients above. So no fault takes all replicas away, but any
//! service fault may meet any server fault. Nothing here judges.

mod clients;
mod clocks;
mod database;
mod failover;
mod links;
mod retention;
mod ringing;
mod servers;
mod services;
pub mod site;
mod storm;

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

pub use ringing::{Line, Lines};
pub use site::Site;

use crate::{
    history::{Damage, Event, Expected},
    rng::Rng,
};

/// Who breaks what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Gateways, stores, and what is between them and the servers.
    Services,
    /// Postgres, NATS, Redis, the load balancer, clients.
    Servers,
}

/// What was broken.
type Broken = BoxFuture<'static, anyhow::Result<Vec<String>>>;

/// A kind of fault.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its number in docs/FAULTS.md.
    pub number: &'static str,
    /// What is done.
    pub what: &'static str,
    /// Who does it.
    pub lane: Lane,
    /// Breaks and heals it; returns what it was done to.
    run: fn(Site, Rng) -> Broken,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number, self.what)
    }
}

const ABANDON: &str = "a caller's gateway killed, the caller stays away";

macro_rules! kinds {
    ($($number:literal $lane:ident $what:expr => $run:path,)*) => {
        /// Every kind of fault.
        pub const KINDS: &[Kind] = &[$(Kind {
            number: $number,
            what: $what,
            lane: Lane::$lane,
            run: |site, rng| Box::pin($run(site, rng)),
        }),*];
    };
}

kinds! {
    "F1" Services ABANDON => ringing::abandon,
    "F1" Services "gateway killed and started" => services::kill_gateway,
    "F1" Services "the callers' gateway killed while calls ring" => ringing::kill_gateway,
    "F2" Services "gateway stopped and continued" => services::stop_gateway,
    "F3" Services "gateway asked to end under load" => services::end_gateway,
    "F4" Services "store killed at random instants" => services::kill_store,
    "F4" Services "store killed while its answers are cut off" => services::kill_silent_store,
    "F4" Services "store killed while calls ring" => ringing::kill_store,
    "F5" Services "store stopped and continued" => services::stop_store,
    "F7" Services "gateway and NATS cut off" => links::gateway_nats,
    "F7" Services "store and NATS cut off" => links::store_nats,
    "F7" Services "store and Redis cut off" => links::store_redis,
    "F7" Services "store and Postgres cut off" => links::store_postgres,
    "F9" Services "events lost without a word" => links::lose,
    "F15" Services "events twice and out of order" => links::disorder,
    "F16" Services "a gateway's clock jumps by two hours" => clocks::gateway,
    "F16" Services "a store's clock jumps by two hours" => clocks::store,
    "F18" Services "gateway killed and Redis flushed while calls ring" => ringing::kill_and_flush,
    "F19" Services "every replica restarted in turn" => services::roll,
    "F21" Services "old messages expire with their partition" => retention::expire,
    "F6" Servers "each server of NATS killed and started in turn" => servers::kill_nats,
    "F6" Servers "a server of NATS stopped and continued" => servers::stop_nats,
    "F8" Servers "a route between servers of NATS cut" => servers::cut_route,
    "F10" Servers "Redis flushed" => servers::flush_redis,
    "F10" Servers "Redis killed and started" => servers::kill_redis,
    "F10" Servers "Redis stopped and continued" => servers::stop_redis,
    "F11" Servers "Postgres restarted at once" => database::restart,
    "F11" Servers "Postgres stopped and continued" => database::stop,
    "F11" Servers "connections to Postgres ended" => database::disconnect,
    "F12" Servers "Postgres killed and its standby promoted" => failover::fail_over,
    "F13" Servers "clients read nothing for a while" => clients::stall,
    "F14" Servers "clients come and go" => clients::flap,
    "F17" Servers "Postgres read-only" => database::read_only,
    "F20" Servers "all clients and 1 000 idle sockets disconnected at once" => storm::storm,
}

/// Breaks things in one lane until every kind was done, `until` is past, and `is_enough` says so.
pub async fn run(lane: Lane, site: Site, rng: Rng, until: Instant, is_enough: impl Fn() -> bool) {
    let mut rng = rng.fork(match lane {
        Lane::Services => "services",
        Lane::Servers => "servers",
    });
    loop {
        let of_lane = KINDS.iter().filter(|kind| kind.lane == lane);
        // Elsewhere services have no clock of their own.
        let has_clocks = cfg!(target_os = "linux");
        let mut deck: Vec<_> = of_lane
            .filter(|kind| has_clocks || kind.number != "F16")
            .collect();
        rng.shuffle(&mut deck);
        // What takes longest to show comes first, and is not disturbed by what would excuse it.
        deck.sort_by_key(|kind| (kind.what != ABANDON, kind.what.contains("Redis")));
        for kind in deck {
            inject(kind, &site, &mut rng).await;
            tokio::time::sleep(rng.millis(300, 1_500)).await;
        }
        if until < Instant::now() && is_enough() {
            return;
        }
    }
}

async fn inject(kind: &Kind, site: &Site, rng: &mut Rng) {
    let t_invoke = site.recorder.now();
    let draws = rng.below(u64::MAX).to_string();
    let draws = rng.fork(&draws);
    site.began(kind);
    let outcome = (kind.run)(site.clone(), draws).await;
    let targets = match outcome {
        Ok(targets) => targets,
        Err(error) => {
            let key = format!("not healed: {kind:?}: {error:#}");
            let args = Expected::default();
            site.recorder.note(
                "suite",
                Event::Count {
                    key,
                    args,
                    result: 1,
                },
            );
            Vec::new()
        }
    };
    let event = Event::Fault {
        key: kind.number.to_owned(),
        args: Damage {
            what: kind.what.to_owned(),
            targets,
        },
    };
    site.recorder.done(t_invoke, "suite", event);
}

/// How long anything may take to be there again.
const PATIENCE: Duration = Duration::from_secs(40);
