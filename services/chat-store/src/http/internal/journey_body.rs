//! The JSON of a message's journey: the verdict, what the database knows, devices, and what happened when.

use chat_domain::{ConversationId, MessageId, Timestamp, UserId, call::DeviceId};
use dialects::Text;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::journey::{Connection, Device, Facts, Journey, State as Has, Verdict},
    ports_journey::{Seen, Sighting, Standing, Way},
};

/// What became of a message for a user.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JourneyBody<'a> {
    message_id: Text<MessageId>,
    user_id: &'a str,
    verdict: VerdictBody,
    message: FactsBody,
    devices: Vec<DeviceBody<'a>>,
    /// Oldest first, as far as the clocks of several machines tell.
    hops: Vec<HopBody<'a>>,
    journal_is_complete: bool,
}

/// The reason, the hop that it is about, and what to do.
#[derive(Serialize, JsonSchema)]
struct VerdictBody {
    code: &'static str,
    hop: &'static str,
    text: &'static str,
}

/// What the database knows.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FactsBody {
    conversation_id: Text<ConversationId>,
    seq: u64,
    created_at: Text<Timestamp>,
    delivered_at: Option<Text<Timestamp>>,
    read_at: Option<Text<Timestamp>>,
    is_published: bool,
    is_participant: bool,
    is_sender: bool,
}

/// A device of the user, and what it has of the message.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceBody<'a> {
    socket_id: Option<&'a str>,
    state: &'static str,
    connections: Vec<ConnectionBody<'a>>,
}

/// One of its connections.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ConnectionBody<'a> {
    device: Text<DeviceId>,
    began_at: Option<Text<Timestamp>>,
    ended_at: Option<Text<Timestamp>>,
    ended_because: Option<&'a str>,
}

/// Something that happened.
#[derive(Serialize, JsonSchema)]
struct HopBody<'a> {
    at: Text<Timestamp>,
    hop: &'static str,
    what: &'static str,
    device: Option<String>,
    detail: Option<DetailBody<'a>>,
}

/// More of it: a word, or the place that a session stands at.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum DetailBody<'a> {
    Word(&'a str),
    At { at: u64 },
    Behind { behind: u64 },
}

impl<'a> JourneyBody<'a> {
    pub(super) fn new(id: MessageId, user: &'a UserId, journey: &'a Journey) -> Self {
        Self {
            message_id: Text(id),
            user_id: user.as_str(),
            verdict: VerdictBody::new(journey.verdict),
            message: FactsBody::new(&journey.facts),
            devices: journey.devices.iter().map(DeviceBody::new).collect(),
            hops: hops(journey),
            journal_is_complete: journey.sightings.is_complete,
        }
    }
}

impl VerdictBody {
    const fn new(verdict: Verdict) -> Self {
        Self {
            code: verdict.code(),
            hop: verdict.hop(),
            text: verdict.text(),
        }
    }
}

impl FactsBody {
    fn new(facts: &Facts) -> Self {
        let stored = &facts.stored;
        Self {
            conversation_id: Text(stored.conversation),
            seq: stored.seq.0,
            created_at: Text(stored.created_at),
            delivered_at: stored.delivered_at.map(Text),
            read_at: stored.read_at.map(Text),
            is_published: !stored.is_untold,
            is_participant: facts.is_participant,
            is_sender: facts.is_sender,
        }
    }
}

impl<'a> DeviceBody<'a> {
    fn new(device: &'a Device) -> Self {
        Self {
            socket_id: device.socket_id.as_deref(),
            state: state(device.state),
            connections: device.connections.iter().map(ConnectionBody::new).collect(),
        }
    }
}

impl<'a> ConnectionBody<'a> {
    fn new(one: &'a Connection) -> Self {
        let went = one.went.as_ref();
        Self {
            device: Text(one.device),
            began_at: one.began.map(Text),
            ended_at: went.map(|(at, _)| Text(*at)),
            ended_because: went.map(|(_, reason)| &**reason),
        }
    }
}

const fn state(state: Has) -> &'static str {
    match state {
        Has::Written(_) => "written",
        Has::Past => "has_it",
        Has::Waiting => "waiting",
        Has::HeldBack => "held_back",
        Has::CatchingUp => "catching_up",
        Has::Unheard => "unheard",
        Has::NotJoined => "not_joined",
        Has::ToldToFetch => "told_to_fetch",
        Has::Revoked => "revoked",
        Has::Closed => "closed",
        Has::GoneBefore => "gone_before",
        Has::CameLater => "came_later",
        Has::Silent => "silent",
    }
}

fn hops(journey: &Journey) -> Vec<HopBody<'_>> {
    let stored = &journey.facts.stored;
    let in_store = |at, what| HopBody {
        at: Text(at),
        hop: "store",
        what,
        device: None,
        detail: None,
    };
    let mut hops = vec![in_store(stored.created_at, "stored")];
    hops.extend(stored.delivered_at.map(|at| in_store(at, "delivered")));
    hops.extend(stored.read_at.map(|at| in_store(at, "read")));
    hops.extend(stored.shown.iter().map(|shown| HopBody {
        device: shown.device.clone(),
        detail: Some(DetailBody::Word(&shown.action)),
        ..in_store(shown.at, "shown")
    }));
    hops.extend(journey.sightings.all.iter().map(|sighting| {
        let (hop, what, detail) = sighted(&sighting.seen);
        HopBody {
            at: Text(sighting.at),
            hop,
            what,
            device: device(sighting),
            detail,
        }
    }));
    hops.sort_by_key(|hop| hop.at.0);
    hops
}

fn device(sighting: &Sighting) -> Option<String> {
    let is_of_one = sighting.device.socket != 0;
    is_of_one.then(|| sighting.device.to_string())
}

fn sighted(seen: &Seen) -> (&'static str, &'static str, Option<DetailBody<'_>>) {
    let word = |text| Some(DetailBody::Word(text));
    match seen {
        Seen::Written(way) => ("socket", "written", word(way_name(*way))),
        Seen::Waiting => ("socket", "waiting", None),
        Seen::Lost => ("socket", "lost", None),
        Seen::NoRoom => ("socket", "no_room", None),
        Seen::Closed => ("socket", "closed", None),
        Seen::Behind => ("session", "behind", None),
        Seen::NotHeard => ("session", "not_joined", None),
        Seen::Skipped => ("session", "told_to_fetch", None),
        Seen::Held => ("gateway", "held", None),
        Seen::Nobody => ("gateway", "nobody", None),
        Seen::Came { is_back: false, .. } => ("socket", "connected", None),
        Seen::Came { is_back: true, .. } => ("socket", "came_back", None),
        Seen::Went { reason, .. } => ("socket", "ended", word(reason)),
        Seen::Stands { standing, .. } | Seen::Stood { standing, .. } => {
            ("session", "stands", Some(stands(*standing)))
        }
    }
}

const fn way_name(way: Way) -> &'static str {
    match way {
        Way::Event => "event",
        Way::Repair => "repair",
        Way::Refill => "refill",
    }
}

const fn stands(standing: Standing) -> DetailBody<'static> {
    match standing {
        Standing::At(seq) => DetailBody::At { at: seq.0 },
        Standing::Behind(seq) => DetailBody::Behind { behind: seq.0 },
        Standing::Unknown => DetailBody::Word("unknown"),
        Standing::Outside => DetailBody::Word("not_joined"),
    }
}
