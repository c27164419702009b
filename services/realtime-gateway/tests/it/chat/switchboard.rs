//! The calls of the store in memory: the domain's own rules, told over NATS like the real ones.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use chat_domain::{
    AppId, ChatError, ConversationId, Timestamp, UserId,
    call::{
        Call, CallId, CallKind, CallRules, Change, DeviceId, Handed, Heard, Initiate, Notice,
        Outcome, Party, Phase, Recipient, Side, Signal, Summary, Switchboard, Transition,
    },
};
use chat_proto::{
    WireId as _,
    subject::{self, Rpc},
    v1,
};
use parking_lot::Mutex;
use prost::Message as _;
use uuid::Uuid;

use super::store::{FakeStore, Fate, encode};

const RULES: CallRules = CallRules {
    ring: Duration::from_secs(45),
    grace: Duration::from_secs(10),
};

/// The calls of a store.
#[derive(Default)]
pub(crate) struct Calls {
    board: Mutex<Switchboard>,
    /// How far its clock is ahead.
    ahead_ms: AtomicI64,
    /// Missed calls that nobody was told of.
    untold: Mutex<Vec<Call>>,
    /// Fates of the next things told about calls; then they are published.
    pub(crate) fates: Mutex<VecDeque<Fate>>,
    /// The next sign of life is answered so that all devices are announced again.
    pub(crate) forgets: AtomicBool,
    /// Devices announced: whose, whether again, and whether in their own place.
    pub(crate) announced: Mutex<Vec<(UserId, bool, bool)>>,
}

impl FakeStore {
    /// Lets time pass for calls, and ends what is due.
    pub(crate) async fn let_pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.calls.ahead_ms.fetch_add(millis, Ordering::SeqCst);
        let mut log = Vec::new();
        self.calls.board.lock().expire(self.call_time(), &mut log);
        self.carry_out(log).await;
    }

    /// Returns how a call ended, and `None` while it has not.
    pub(crate) fn outcome(&self, call: CallId) -> Option<Outcome> {
        match self.calls.board.lock().call(call)?.phase {
            Phase::Over(outcome) => Some(outcome),
            Phase::Ringing | Phase::Connected => None,
        }
    }

    /// Returns the device of a side that is in the live call of a user.
    pub(crate) fn device_in_call(&self, user: &UserId, side: Side) -> Option<DeviceId> {
        let board = self.calls.board.lock();
        board.call_of(user)?.leg(side).device
    }

    /// Tells whether a device in the live call of a user is gone.
    pub(crate) fn is_gone(&self, user: &UserId, side: Side) -> bool {
        let board = self.calls.board.lock();
        let call = board.call_of(user);
        call.is_some_and(|call| call.leg(side).gone_since.is_some())
    }

    /// Tells whether a missed call is still to be told at the next connect.
    pub(crate) fn is_untold(&self, call: CallId) -> bool {
        self.calls
            .untold
            .lock()
            .iter()
            .any(|missed| missed.id == call)
    }

    /// Takes the store down, or lets it come back.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Waits until everything published is on its way.
    pub(crate) async fn flush(&self) {
        self.nats.flush().await.unwrap();
    }

    /// Publishes something for a user's sockets.
    pub(crate) async fn publish_to(&self, user: &UserId, body: v1::envelope::Body) {
        let app = AppId::new("consult").unwrap();
        let envelope = v1::Envelope {
            version: 1,
            app: app.as_str().to_owned(),
            targets: vec![user.as_str().to_owned()],
            body: Some(body),
            ..v1::Envelope::default()
        };
        let payload = Bytes::from(envelope.encode_to_vec());
        let subject = subject::user(&app, user);
        self.nats.publish(subject, payload).await.unwrap();
    }

    /// Answers a request about calls.
    pub(super) async fn answer_call(&self, rpc: Rpc, payload: Bytes) -> Result<Bytes, ChatError> {
        let mut log = Vec::new();
        let answer = self.decide(rpc, payload, &mut log);
        self.carry_out(log).await;
        answer
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn decide(
        &self,
        rpc: Rpc,
        payload: Bytes,
        log: &mut Vec<Transition>,
    ) -> Result<Bytes, ChatError> {
        let now = self.call_time();
        let mut board = self.calls.board.lock();
        Ok(match rpc {
            Rpc::InitiateCall => {
                let request: v1::InitiateCallRequest = read(payload);
                let conversation = ConversationId::from_wire(&request.conversation_id)?;
                let caller = UserId::new(&request.caller_id)?;
                let callee = UserId::new(&request.callee_id)?;
                let found = self.visible(&caller, &conversation.to_string())?;
                if found.participant(&callee).is_none() {
                    return Err(ChatError::Forbidden("no participant"));
                }
                let initiate = Initiate {
                    call: CallId(Uuid::now_v7()),
                    caller,
                    device: DeviceId::from_wire(&request.device)?,
                    callee,
                    conversation,
                    kind: CallKind::parse(&request.kind)?,
                    n: request.n,
                };
                let ringing = board.initiate(&initiate, RULES, now, log)?;
                encode(&v1::InitiateCallReply::from(ringing))
            }
            Rpc::AcceptCall => {
                let request: v1::AcceptCallRequest = read(payload);
                let call = board.accept(&party(request.party), now, log)?;
                encode(&v1::AcceptCallReply {
                    call_id: call.to_wire(),
                })
            }
            Rpc::RejectCall => {
                let request: v1::RejectCallRequest = read(payload);
                let reason = request.reason.map(Into::into);
                let call = board.reject(&party(request.party), reason, now, log)?;
                encode(&v1::RejectCallReply {
                    call_id: call.to_wire(),
                })
            }
            Rpc::EndCall => {
                let request: v1::EndCallRequest = read(payload);
                let call = board.hang_up(&party(request.party), now, log)?;
                encode(&v1::EndCallReply {
                    call_id: call.map(chat_proto::WireId::to_wire),
                })
            }
            Rpc::Signal => {
                let request: v1::SignalRequest = read(payload);
                let signal = signal(request.signal);
                let route = board.signal(&party(request.party), signal, now, log)?;
                encode(&v1::SignalReply::from(&route))
            }
            Rpc::DeviceGone => {
                let request: v1::DeviceGoneRequest = read(payload);
                let device = DeviceId::from_wire(&request.device)?;
                let ago = Duration::from_millis(request.ago_ms);
                board.gone(&UserId::new(&request.user_id)?, device, ago, now, log);
                encode(&v1::DeviceGoneReply {})
            }
            Rpc::DeviceBack => {
                let request: v1::DeviceBackRequest = read(payload);
                let user = UserId::new(&request.user_id)?;
                let is_itself = request.replaces.as_ref() == Some(&request.device);
                let announced = (user.clone(), request.again, is_itself);
                self.calls.announced.lock().push(announced);
                let device = DeviceId::from_wire(&request.device)?;
                let replaces = request.replaces.map(|id| DeviceId::from_wire(&id));
                let age = Duration::from_millis(request.age_ms);
                let found = board.back(&user, device, replaces.transpose()?, age, now, log);
                let with_call =
                    |notice: &Notice| (notice, &summary(board.call(notice.call))).into();
                encode(&v1::DeviceBackReply {
                    notices: found.notices.iter().map(with_call).collect(),
                    missed: self.claim(&user),
                    goes_on: found.goes_on.as_ref().map(Into::into),
                })
            }
            Rpc::CheckCalls => {
                let request: v1::CheckCallsRequest = read(payload);
                let user = UserId::new(&request.user_id)?;
                let device = DeviceId::from_wire(&request.device)?;
                let heard = request.calls.into_iter().map(Heard::try_from);
                let retold = heard.filter_map(|heard| {
                    let heard = heard.unwrap();
                    let call = board.call(heard.call)?;
                    let notice = call.retell(call.side_of(&user)?, device, &heard)?;
                    Some((&notice, &Summary::from(call)).into())
                });
                encode(&v1::CheckCallsReply {
                    notices: retold.collect(),
                })
            }
            Rpc::CallsTold => {
                let request: v1::CallsToldRequest = read(payload);
                let told = |call: &Call| request.call_ids.contains(&call.id.to_wire());
                self.calls.untold.lock().retain(|call| !told(call));
                encode(&v1::CallsToldReply {})
            }
            Rpc::GatewayAlive => encode(&v1::GatewayAliveReply {
                announce: self.calls.forgets.swap(false, Ordering::SeqCst),
            }),
            Rpc::OpenSession
            | Rpc::ResumeSession
            | Rpc::GetConversation
            | Rpc::OpenConversation
            | Rpc::Heads
            | Rpc::Begun
            | Rpc::Append
            | Rpc::Range
            | Rpc::Sync
            | Rpc::Receive
            | Rpc::Read
            | Rpc::SetStatus
            | Rpc::ListRevocations
            | Rpc::FindUser => return Err(ChatError::Malformed("not about calls")),
        })
    }

    fn claim(&self, user: &UserId) -> Vec<v1::Call> {
        let mut untold = self.calls.untold.lock();
        let (theirs, others) = untold
            .drain(..)
            .partition::<Vec<_>, _>(|call| call.callee.user == *user);
        *untold = others;
        theirs
            .iter()
            .map(|call| (&Summary::from(call)).into())
            .collect()
    }

    /// Tells what follows from changes, in order.
    async fn carry_out(&self, log: Vec<Transition>) {
        for transition in log {
            let call = &transition.call;
            if matches!(transition.change, Change::NoAnswer | Change::Cancelled) {
                self.calls.untold.lock().push(call.clone());
            }
            for notice in transition.notices() {
                let (Recipient::AllDevices(to)
                | Recipient::Device(to, _)
                | Recipient::OtherDevices(to, _)) = &notice.to;
                let body = (&notice, &Summary::from(call)).into();
                self.publish_call(to, v1::envelope::Body::CallNotice(body))
                    .await;
            }
            if matches!(transition.change, Change::Accepted | Change::Merged) {
                for side in [Side::Caller, Side::Callee] {
                    self.hand_over(call.id, side).await;
                }
            }
        }
    }

    async fn hand_over(&self, call: CallId, side: Side) {
        let handed: Option<Handed> = self.calls.board.lock().waiting(call, side);
        if let Some(handed) = handed {
            let body = v1::envelope::Body::CallSignals((&handed).into());
            self.publish_call(&handed.to.0, body).await;
            self.calls.board.lock().handed(&handed);
        }
    }

    async fn publish_call(&self, to: &UserId, body: v1::envelope::Body) {
        let fate = self.calls.fates.lock().pop_front();
        let times = match fate.unwrap_or(Fate::Publish) {
            Fate::Lose => 0,
            Fate::Publish => 1,
            Fate::Repeat => 2,
        };
        for _ in 0..times {
            self.publish_to(to, body.clone()).await;
        }
    }

    fn call_time(&self) -> Timestamp {
        Timestamp(service_kit::now().0 + self.calls.ahead_ms.load(Ordering::SeqCst))
    }
}

fn party(wire: Option<v1::CallParty>) -> Party {
    Party::try_from(wire.unwrap()).unwrap()
}

fn signal(wire: Option<v1::CallSignal>) -> Signal {
    Signal::try_from(&wire.unwrap()).unwrap()
}

fn summary(call: Option<&Call>) -> Summary {
    call.unwrap().into()
}

fn read<M: prost::Message + Default>(payload: Bytes) -> M {
    M::decode(payload).unwrap()
}
