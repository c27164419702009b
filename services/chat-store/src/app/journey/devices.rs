//! A user's devices, put together from what gateways noted, and what each has of a message.
//!
//! Sans-IO. A device is a session: it may have had several connections, at several gateways.

use chat_domain::{Seq, Timestamp, call::DeviceId};

use crate::ports_journey::{Named, Seen, Sighting, Standing, Way};

/// What a device has of the message, the farthest it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A transport took it for the device.
    Written(Way),
    /// The device shows that it has it: it came back to its session behind the message, or stands there.
    Past,
    /// It is queued, and the client does not read.
    Waiting,
    /// It is left out because the client does not read; it is fetched when it does.
    HeldBack,
    /// What is before it is being fetched.
    CatchingUp,
    /// The gateway that has the device has not heard of it.
    Unheard,
    /// The device is not in the room.
    NotJoined,
    /// It was part of more than is sent; the client was told to fetch it.
    ToldToFetch,
    /// The device's token was revoked, and its connection ended.
    Revoked,
    /// The connection ended before it was written, and the device was not seen since.
    Closed,
    /// The connection ended before the message was there.
    GoneBefore,
    /// The device began a session after the message: it fetches what was before.
    CameLater,
    /// The gateway that had the device says nothing any more.
    Silent,
}

/// One connection of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The gateway, and the socket's number there.
    pub device: DeviceId,
    /// When it began, where that is known.
    pub began: Option<Timestamp>,
    /// When it ended, and why.
    pub went: Option<(Timestamp, String)>,
    is_back: bool,
    stands: Option<Standing>,
    stood: Option<Standing>,
    /// What was noted last of the message.
    outcome: Option<Seen>,
    first_seen: Timestamp,
}

/// A device of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What the client knows as `socket.id`, where a gateway said it.
    pub socket_id: Option<String>,
    /// Its connections, oldest first; at least one.
    pub connections: Vec<Connection>,
    /// What it has of the message.
    pub state: State,
}

/// Puts the devices together. `sightings` are of one user and one message, oldest first.
pub(super) fn of(sightings: &[Sighting], seq: Seq, created_at: Timestamp) -> Vec<Device> {
    let mut connections: Vec<(Option<String>, Connection)> = Vec::new();
    for sighting in sightings.iter().filter(|one| one.device.socket != 0) {
        let known = connections
            .iter()
            .position(|(_, one)| one.device == sighting.device);
        let index = known.unwrap_or_else(|| {
            connections.push((None, Connection::new(sighting)));
            connections.len() - 1
        });
        if let Some((socket_id, connection)) = connections.get_mut(index)
            && let Some(named) = connection.take(sighting)
        {
            connection.began = Some(named.began);
            *socket_id = Some(named.socket_id.clone());
        }
    }
    connections.sort_by_key(|(_, one)| (one.began.unwrap_or(one.first_seen), one.first_seen));

    let mut devices: Vec<Device> = Vec::new();
    for (socket_id, connection) in connections {
        let own = devices
            .iter_mut()
            .find(|device| socket_id.is_some() && device.socket_id == socket_id);
        match own {
            Some(device) => device.connections.push(connection),
            None => devices.push(Device {
                socket_id,
                connections: vec![connection],
                state: State::Silent,
            }),
        }
    }
    for device in &mut devices {
        device.state = state(&device.connections, seq, created_at);
    }
    devices
}

impl Connection {
    fn new(first: &Sighting) -> Self {
        Self {
            device: first.device,
            began: None,
            went: None,
            is_back: false,
            stands: None,
            stood: None,
            outcome: None,
            first_seen: first.at,
        }
    }

    /// Takes a note; returns what it says of the socket itself.
    fn take<'a>(&mut self, sighting: &'a Sighting) -> Option<&'a Named> {
        match &sighting.seen {
            Seen::Came { socket, is_back } => {
                self.is_back = *is_back;
                Some(socket)
            }
            Seen::Went { socket, reason } => {
                self.went = Some((sighting.at, reason.clone()));
                Some(socket)
            }
            Seen::Stands { socket, standing } => {
                self.stands = Some(*standing);
                Some(socket)
            }
            Seen::Stood { socket, standing } => {
                self.stood = Some(*standing);
                Some(socket)
            }
            Seen::Held | Seen::Nobody => None,
            Seen::Written(_)
            | Seen::Waiting
            | Seen::Lost
            | Seen::NoRoom
            | Seen::Behind
            | Seen::NotHeard
            | Seen::Closed
            | Seen::Skipped => {
                // Nothing that comes later takes that back.
                if !matches!(self.outcome, Some(Seen::Written(_))) {
                    self.outcome = Some(sighting.seen.clone());
                }
                None
            }
        }
    }
}

fn state(connections: &[Connection], seq: Seq, created_at: Timestamp) -> State {
    let written = connections.iter().find_map(|one| match &one.outcome {
        Some(Seen::Written(way)) => Some(State::Written(*way)),
        _ => None,
    });
    let last = connections.last();
    written
        .or_else(|| last.map(|last| last.state(seq, created_at)))
        .unwrap_or(State::Silent)
}

impl Connection {
    /// Says what the device has, this being its last connection and the message written to none.
    fn state(&self, seq: Seq, created_at: Timestamp) -> State {
        if self.outcome == Some(Seen::Skipped) && !self.came_later(created_at) {
            return State::ToldToFetch;
        }
        if let Some((at, reason)) = &self.went {
            let is_before = self.outcome.is_none() && *at < created_at;
            return match reason.as_str() {
                "revoked" => State::Revoked,
                _ if is_before => State::GoneBefore,
                _ if self.came_later(created_at) => State::CameLater,
                _ => State::Closed,
            };
        }
        let Some(standing) = self.stands else {
            return self.silent(seq);
        };
        match (&self.outcome, standing) {
            (_, Standing::Outside) | (Some(Seen::NotHeard), _) => State::NotJoined,
            (Some(Seen::Waiting), _) => State::Waiting,
            (Some(Seen::Lost | Seen::Closed), _) => State::Closed,
            (None, _) if self.came_later(created_at) => State::CameLater,
            (_, Standing::At(after) | Standing::Behind(after)) if seq <= after => State::Past,
            (Some(Seen::NoRoom), _) => State::HeldBack,
            (_, Standing::Behind(_)) | (Some(Seen::Behind), _) => State::CatchingUp,
            (_, Standing::At(_) | Standing::Unknown) => State::Unheard,
        }
    }

    /// Says what it has of which nobody tells where it stands now.
    fn silent(&self, seq: Seq) -> State {
        match self.stood {
            Some(Standing::At(after) | Standing::Behind(after))
                if seq <= after && self.outcome.is_none() =>
            {
                State::Past
            }
            _ => State::Silent,
        }
    }

    /// Whether something was noted of the message.
    pub(super) const fn has_outcome(&self) -> bool {
        self.outcome.is_some()
    }

    /// The device began a session when the message was there already.
    fn came_later(&self, created_at: Timestamp) -> bool {
        !self.is_back && self.began.is_some_and(|began| created_at < began)
    }
}
