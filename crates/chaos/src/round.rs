//! One round: people arrive, chat and call while things break, and finish once everything is healed.
//! What they saw and what there is goes into one history, which is then checked.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use load_kit::Endpoints;
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    checker::{self, Violation},
    clocks::Clocks,
    collect::Scene,
    control::Control,
    faults::{self, Lane, Line, Lines, Site, site},
    history::{Damage, Event, Moment, Talk},
    patience::until_none,
    people::{self, HASTY, PATIENT, Person},
    proxy::Link,
    recorder::Recorder,
    report,
    rng::Rng,
    socket::Transport,
    workload::{Answering, Crowd, Device, Habits, Order, Phase, Stage, reader},
};

/// Consultants who chat, and as many patients.
const CHATTING: usize = 6;
/// Pairs who are there to ring each other.
const RINGING: usize = 6;
/// What comes before the first fault.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long nothing is done once all is done.
const QUIET: Duration = Duration::from_secs(5);
/// How long it may take until everybody was told how a call ended.
const FOLLOWED: Duration = Duration::from_secs(70);
/// How long calls may go on when everything is healed, before everybody hangs up.
const RINGING_OUT: Duration = Duration::from_secs(20);

/// What all rounds share.
#[derive(Debug)]
pub struct Rig {
    /// Starts processes.
    pub control: Control,
    /// What runs where.
    pub endpoints: Endpoints,
    /// Every proxy.
    pub links: Arc<Vec<Link>>,
    /// What services take for the time of day.
    pub clocks: Clocks,
    /// Process ids.
    pub pids: site::Pids,
    /// Postgres, past the proxies.
    pub database: PgPool,
    /// For REST.
    pub http: reqwest::Client,
    /// The logs of everything.
    pub logs: PathBuf,
}

/// How a round went.
#[derive(Debug)]
pub struct Verdict {
    /// Operations by kind.
    pub operations: Vec<(String, u64)>,
    /// Faults by kind.
    pub faults: Vec<(String, u64)>,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// Where the history is.
    pub history: PathBuf,
}

/// Runs one round of at least `least` long.
///
/// # Errors
///
/// Returns what kept it from running.
pub async fn run(rig: &Rig, seed: u64, history: &Path, least: Duration) -> anyhow::Result<Verdict> {
    let rng = Rng::new(seed);
    let recorder = Recorder::begin(history)?;
    let (phase, phases) = watch::channel(Phase::Busy);
    let chatting = people::circle(&rig.endpoints, &rig.http, HASTY, "p", CHATTING).await?;
    let ringing = people::circle(&rig.endpoints, &rig.http, HASTY, "r", RINGING).await?;
    let faithless = people::circle(&rig.endpoints, &rig.http, PATIENT, "x", 1).await?;
    let absent = people::circle(&rig.endpoints, &rig.http, HASTY, "e", 1).await?;
    let everybody = || [&chatting, &ringing, &faithless].into_iter().flatten();
    let stage = Arc::new(Stage {
        endpoints: rig.endpoints.clone(),
        http: rig.http.clone(),
        recorder: recorder.clone(),
        phase: phases,
        names: everybody()
            .map(|person| (person.user.id.clone(), person.name.clone()))
            .collect(),
    });
    note_people(&recorder, seed, everybody());

    let mut crowd = Crowd::default();
    let orders = chat(&mut crowd, &chatting, &stage, &rng);
    let lines = Lines {
        faithful: callers(&mut crowd, &ringing, &stage, &rng, None),
        faithless: callers(
            &mut crowd,
            &faithless,
            &stage,
            &rng,
            Some(Duration::from_secs(25)),
        ),
    };
    let site = Site::new(site::Inner {
        control: rig.control.clone(),
        links: Arc::clone(&rig.links),
        clocks: rig.clocks.clone(),
        endpoints: rig.endpoints.clone(),
        database: rig.database.clone(),
        http: rig.http.clone(),
        recorder: recorder.clone(),
        orders,
        lines,
        expiring: absent
            .iter()
            .find_map(|person| person.talks.first())
            .map_or_else(String::new, |talk| talk.id.clone()),
        pids: rig.pids.clone(),
        faults: Mutex::default(),
    });

    sleep(WARM_UP).await;
    let until = Instant::now() + least;
    let progress = tokio::spawn(report::progress(recorder.clone(), site.clone()));
    let pulse = tokio::spawn(pulse(recorder.clone()));
    let lane = |lane| faults::run(lane, site.clone(), rng.clone(), until, || true);
    tokio::join!(lane(Lane::Services), lane(Lane::Servers));
    progress.abort();

    recorder.note("suite", Event::Healed);
    phase.send_replace(Phase::Settling);
    let scene = Scene {
        stage: Arc::clone(&stage),
        people: [chatting, ringing, faithless].concat(),
        database: rig.database.clone(),
    };
    settle(&scene, &mut crowd).await?;
    pulse.abort();
    scene.collect().await?;
    let sockets = crowd.devices.len() as u64;
    scene
        .connections(sockets, scene.people.len() as u64)
        .await?;
    phase.send_replace(Phase::Over);
    crowd.gone().await?;
    scene.connections(0, 0).await?;
    scene.leaks(&rig.logs).await?;

    let operations = recorder.operations().into_iter().collect();
    let (records, history) = recorder.finish();
    let faults = site.faults.lock().clone().into_iter().collect();
    let violations = checker::check(&records);
    Ok(Verdict {
        operations,
        faults,
        violations,
        history,
    })
}

/// Notes when the machine itself stood still: nobody can keep times then.
async fn pulse(recorder: Recorder) {
    const BEAT: Duration = Duration::from_millis(100);
    const TOO_LATE: u64 = 250_000;
    loop {
        let before = recorder.now();
        sleep(BEAT).await;
        if before + TOO_LATE < recorder.now() {
            let args = Damage {
                what: "the machine stood still".to_owned(),
                targets: vec!["machine".to_owned()],
            };
            let key = "F0".to_owned();
            recorder.done(before, "suite", Event::Fault { key, args });
        }
    }
}

fn note_people<'a>(recorder: &Recorder, seed: u64, people: impl Iterator<Item = &'a Arc<Person>>) {
    let since_1970 = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000;
    let now = i64::try_from(since_1970).unwrap_or(i64::MAX);
    let passed = i64::try_from(recorder.now()).unwrap_or(0);
    let args = Moment {
        unix_us: now - passed,
    };
    recorder.note(
        "suite",
        Event::Began {
            key: seed.to_string(),
            args,
        },
    );
    for person in people {
        for talk in &person.talks {
            let devices = (0..devices_of(person)).map(|i| format!("{}.d{i}", person.name));
            let args = Talk {
                users: vec![talk.consultant.clone(), talk.patient.clone()],
                canary: talk.canary.clone(),
                devices: devices.collect(),
            };
            let key = talk.id.clone();
            recorder.note("suite", Event::Conversation { key, args });
        }
    }
}

/// Two devices each; those who are there to call have one, to be called two.
fn devices_of(person: &Person) -> usize {
    let only_calls = !person.name.starts_with('p') && person.user.role == "consultant";
    if only_calls { 1 } else { 2 }
}

/// Lets people chat; returns where their devices take orders.
fn chat(
    crowd: &mut Crowd,
    people: &[Arc<Person>],
    stage: &Arc<Stage>,
    rng: &Rng,
) -> Vec<tokio::sync::mpsc::Sender<Order>> {
    let mut orders = Vec::new();
    for (i, person) in people.iter().enumerate() {
        for number in 0..devices_of(person) {
            // One in six polls.
            let polls = (i + number * people.len()) % 6 == 5;
            let habits = Habits {
                transport: if polls {
                    Transport::Polling
                } else {
                    Transport::WebSocket
                },
                pause_ms: 900,
                is_slow: i % 4 == 3,
                calls: 4,
                answering: Answering {
                    accept: 35,
                    reject: 15,
                    cancel: 20,
                },
                stays_away: None,
            };
            let (device, sender) = Device::new(person, number, habits, stage, rng);
            crowd.add_device(device, sender.clone());
            orders.push(sender);
        }
        crowd.add_reader(reader(Arc::clone(person), Arc::clone(stage), rng.clone()));
    }
    orders
}

/// Lets people wait for calls; returns the consultants, who call when they are told to.
fn callers(
    crowd: &mut Crowd,
    people: &[Arc<Person>],
    stage: &Arc<Stage>,
    rng: &Rng,
    stays_away: Option<Duration>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for person in people {
        let calls = person.user.role == "consultant";
        for number in 0..devices_of(person) {
            let habits = Habits {
                transport: Transport::WebSocket,
                pause_ms: 0,
                is_slow: false,
                calls: 0,
                answering: match stays_away {
                    None => Answering {
                        accept: 12,
                        reject: 5,
                        cancel: 0,
                    },
                    Some(_) => Answering {
                        accept: 0,
                        reject: 0,
                        cancel: 0,
                    },
                },
                stays_away: stays_away.filter(|_| calls),
            };
            let (device, orders) = Device::new(person, number, habits, stage, rng);
            if calls {
                let (orders, status) = (orders.clone(), device.status());
                lines.push(Line { orders, status });
            }
            crowd.add_device(device, orders);
        }
    }
    lines
}

/// Waits until nothing was done for a while: not even what somebody asked for over a connection that
/// was lost since, which nobody else knows of.
async fn quiet(scene: &Scene) -> anyhow::Result<()> {
    let (mut last, mut since) = (0, Instant::now());
    until_none("the last to be done", async || {
        let done = scene.done().await?;
        if done != last {
            (last, since) = (done, Instant::now());
        }
        let is_quiet = QUIET <= since.elapsed();
        // The more is done, the less is to come.
        Ok(if is_quiet { 0 } else { u64::MAX - done })
    })
    .await?;
    Ok(())
}

/// Waits until everybody is back, has finished, and knows everything; what will never be so the
/// checker will see.
async fn settle(scene: &Scene, crowd: &mut Crowd) -> anyhow::Result<()> {
    until_none("everybody to finish", async || Ok(crowd.unfinished())).await?;
    quiet(scene).await?;
    if !scene.calls_over_within(RINGING_OUT).await? {
        for orders in &crowd.orders {
            let _ = orders.try_send(Order::HangUp);
        }
        until_none("calls to end", async || scene.calls().await).await?;
    }
    // What was lost with Redis stores find within a minute.
    let deadline = Instant::now() + FOLLOWED;
    while scene.calls_to_follow().await? != 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(100)).await;
    }
    let heads = scene.heads().await?;
    until_none("everybody to know all messages", async || {
        Ok(crowd.unknown(&heads))
    })
    .await?;
    Ok(())
}
