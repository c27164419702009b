//! The stream of what gateways note, and asking them. It keeps a day, and no more than it may.
//!
//! Not here: writing into it, which gateways alone may.

use std::{collections::HashMap, time::Duration};

use async_nats::{
    Client,
    jetstream::{
        self, Context,
        consumer::{AckPolicy, DeliverPolicy, pull},
        stream,
    },
};
use bytes::Bytes;
use chat_domain::{
    BoxError, ChatError, ConversationId, Seq, Timestamp,
    call::{DeviceId, GatewayId},
};
use chat_proto::{
    WireId as _,
    subject::{self, JOURNAL_ALL, JOURNAL_STREAM},
    v1,
};
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::time::{Instant, timeout};

use super::publisher::VERSION;
use crate::{
    ports::Answer,
    ports_journey::{
        LOOK_BACK, Named, Question, Seen, Sighting, SightingLog, Sightings, Standing, Way,
    },
};

/// For how long notes are kept.
const MAX_AGE: Duration = Duration::from_hours(24);
/// How long JetStream may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long gateways have to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(8);
/// How many payloads are read at a time.
const PART: usize = 256;
/// How many bytes one question reads.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// For how long the server knows a reader that says nothing.
const FORGET: Duration = Duration::from_secs(15);

/// The way to the stream. A clone is the same.
#[derive(Debug, Clone)]
pub struct JournalStream {
    client: Client,
    context: Context,
    max_bytes: i64,
}

impl JournalStream {
    /// Reads and asks over `client`. The stream holds at most `max_bytes` when it is made here; one
    /// that is there is left as it is.
    #[must_use]
    pub fn new(client: Client, max_bytes: i64) -> Self {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(TIMEOUT);
        Self {
            client,
            context,
            max_bytes,
        }
    }

    /// Makes sure that there is a stream.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while JetStream is; what gateways note meanwhile is lost.
    pub async fn prepare(&self) -> Result<(), ChatError> {
        let config = stream::Config {
            name: JOURNAL_STREAM.to_owned(),
            description: Some("What became of messages on their way to sockets".to_owned()),
            subjects: vec![JOURNAL_ALL.to_owned()],
            max_age: MAX_AGE,
            max_bytes: self.max_bytes,
            ..stream::Config::default()
        };
        let made = timeout(TIMEOUT * 2, self.context.get_or_create_stream(config)).await;
        let made = made.map_err(BoxError::from);
        let made = made.and_then(|made| made.map_err(BoxError::from));
        made.map(drop).map_err(unavailable)
    }

    async fn collect(&self, question: Question<'_>) -> Result<Sightings, BoxError> {
        let stream = self.context.get_stream(JOURNAL_STREAM).await?;
        let since = question.created_at.before(LOOK_BACK);
        let info = stream.cached_info();
        let begins = if info.state.first_sequence <= 1 {
            info.created
        } else {
            info.state.first_timestamp
        };
        let mut found = Collected::new(question);
        found.is_complete = Timestamp::from_datetime(begins) <= question.created_at;
        let config = pull::Config {
            filter_subject: subject::journal(question.app, question.user),
            deliver_policy: DeliverPolicy::ByStartTime {
                start_time: since.to_datetime(),
            },
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGET,
            memory_storage: true,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await?;
        // What was said before is no answer.
        let asked_at = info.state.last_sequence;
        self.ask(question).await?;
        let until = Instant::now() + DEADLINE;
        let mut n_bytes = 0;
        loop {
            let batch = consumer.batch().max_messages(PART).expires(PATIENCE);
            let mut batch = batch.messages().await?;
            let mut n_read = 0;
            while let Some(message) = batch.next().await {
                let message = message?;
                n_read += 1;
                n_bytes += message.payload.len();
                let is_answer = asked_at < message.info()?.stream_sequence;
                found.take(message.payload.clone(), is_answer);
            }
            if n_read < PART {
                break;
            }
            if MAX_BYTES < n_bytes || until < Instant::now() {
                found.is_complete = false;
                break;
            }
        }
        Ok(found.finish())
    }

    /// Has gateways note where the user's sockets stand.
    async fn ask(&self, question: Question<'_>) -> Result<(), BoxError> {
        let locate = v1::Locate {
            conversation_id: question.conversation.to_wire(),
        };
        let envelope = v1::Envelope {
            version: VERSION,
            app: question.app.as_str().to_owned(),
            targets: vec![question.user.as_str().to_owned()],
            body: Some(v1::envelope::Body::Locate(locate)),
            ..v1::Envelope::default()
        };
        let subject = subject::user(question.app, question.user);
        let payload = envelope.encode_to_vec().into();
        self.client.publish(subject, payload).await?;
        self.client.flush().await?;
        Ok(())
    }
}

impl SightingLog for JournalStream {
    fn read<'a>(&'a self, question: Question<'a>) -> Answer<'a, Sightings> {
        Box::pin(async move {
            let collected = timeout(DEADLINE * 2, self.collect(question)).await;
            let collected = collected.map_err(BoxError::from);
            collected.and_then(|found| found).map_err(unavailable)
        })
    }
}

fn unavailable(source: BoxError) -> ChatError {
    ChatError::Unavailable {
        dependency: "jetstream",
        source,
    }
}

/// What was read so far.
struct Collected<'a> {
    question: Question<'a>,
    all: Vec<Sighting>,
    /// The last number of each gateway.
    numbers: HashMap<u64, u64>,
    is_complete: bool,
}

impl<'a> Collected<'a> {
    fn new(question: Question<'a>) -> Self {
        Self {
            question,
            all: Vec::new(),
            numbers: HashMap::new(),
            is_complete: true,
        }
    }

    /// Takes a payload; what means nothing was lost.
    fn take(&mut self, payload: Bytes, is_answer: bool) {
        let Ok(notes) = v1::Notes::decode(payload) else {
            self.is_complete = false;
            return;
        };
        let before = self.numbers.insert(notes.replica, notes.number);
        if before.is_some_and(|before| notes.number != before.wrapping_add(1)) {
            self.is_complete = false;
        }
        let Question { app, user, .. } = self.question;
        let own = notes
            .users
            .iter()
            .filter(|of| of.app == app.as_str() && of.user_id == user.as_str());
        for note in own.flat_map(|of| &of.notes) {
            if let Some(seen) = seen(note, self.question, is_answer) {
                self.all.push(Sighting {
                    at: Timestamp(note.at_ms),
                    device: DeviceId {
                        gateway: GatewayId(notes.replica),
                        socket: note.socket,
                    },
                    seen,
                });
            }
        }
    }

    fn finish(mut self) -> Sightings {
        self.all.sort_by_key(|sighting| sighting.at);
        Sightings {
            all: self.all,
            is_complete: self.is_complete,
        }
    }
}

/// Reads a note; `None` for one that is not about what is asked, or of a kind that this release does not
/// know.
fn seen(note: &v1::Note, question: Question<'_>, is_answer: bool) -> Option<Seen> {
    let conversation = ConversationId::from_wire(&note.conversation_id).ok();
    let is_of_conversation = conversation == Some(question.conversation);
    let is_of_message = is_of_conversation && note.seq == question.seq.0;
    let of_message = |seen| is_of_message.then_some(seen);
    let socket = || Named {
        socket_id: note.socket_id.clone(),
        began: Timestamp(note.began_ms),
    };
    match note.kind() {
        v1::NoteKind::Written => of_message(Seen::Written(match note.way() {
            v1::NoteWay::Event => Way::Event,
            v1::NoteWay::Repair => Way::Repair,
            v1::NoteWay::Refill => Way::Refill,
        })),
        v1::NoteKind::Waiting => of_message(Seen::Waiting),
        v1::NoteKind::Lost => of_message(Seen::Lost),
        v1::NoteKind::NoRoom => of_message(Seen::NoRoom),
        v1::NoteKind::Behind => of_message(Seen::Behind),
        v1::NoteKind::NotHeard => of_message(Seen::NotHeard),
        v1::NoteKind::Closed => of_message(Seen::Closed),
        v1::NoteKind::Held => of_message(Seen::Held),
        v1::NoteKind::Nobody => of_message(Seen::Nobody),
        v1::NoteKind::Skipped => {
            let is_skipped = is_of_conversation && question.seq.0 <= note.seq;
            is_skipped.then_some(Seen::Skipped)
        }
        v1::NoteKind::Came => Some(Seen::Came {
            socket: socket(),
            is_back: note.is_back,
        }),
        v1::NoteKind::Went => Some(Seen::Went {
            socket: socket(),
            reason: note.reason.clone(),
        }),
        v1::NoteKind::Stands => is_of_conversation.then(|| {
            let (socket, standing) = (socket(), standing(note));
            if is_answer {
                Seen::Stands { socket, standing }
            } else {
                Seen::Stood { socket, standing }
            }
        }),
        v1::NoteKind::Unspecified => None,
    }
}

fn standing(note: &v1::Note) -> Standing {
    match note.place() {
        v1::NotePlace::Known => Standing::At(Seq(note.seq)),
        v1::NotePlace::Behind => Standing::Behind(Seq(note.seq)),
        v1::NotePlace::Unknown => Standing::Unknown,
        v1::NotePlace::Outside => Standing::Outside,
    }
}
