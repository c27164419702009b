//! Calls: rings, answers and signals. What follows from them is told by the stores, to whom it
//! concerns; the client that asked hears at once only in its acknowledgement.

use chat_domain::{
    ChatError, Dialect, ErrorKind,
    call::{Handed, Party, Ringing, Route, Signal},
};
use dialects::{
    CallAction, CallCommand, ServerEvent,
    consult::{self, CallFacts},
};

use super::{Chat, Request, count};
use crate::{calls::Calls, transport::Class, wire};

impl Chat {
    /// Does what the client wants of a call.
    pub(super) async fn call(
        &self,
        request: &Request,
        command: &CallCommand,
    ) -> Result<(), ChatError> {
        let session = request.socket.session();
        let (n, age) = self.parts.calls.ask(&request.socket);
        let party = Party {
            user: session.user().id.clone(),
            device: self.parts.calls.device(&request.socket),
            peer: command.peer.clone(),
            call: command.call,
            age,
            n,
        };
        let outcome = self.act(request, &party, command).await;
        if let Err(error) = &outcome
            && error.kind() == ErrorKind::Unavailable
        {
            session.device().lock().doubt();
        }
        confirm(request, &outcome?);
        Ok(())
    }

    /// Returns what the acknowledgement says.
    async fn act(
        &self,
        request: &Request,
        party: &Party,
        command: &CallCommand,
    ) -> Result<ServerEvent, ChatError> {
        let (store, session) = (&self.parts.store, request.socket.session());
        let app = &session.app().id;
        let heard = consult::call_heard(command);
        match &command.action {
            CallAction::Initiate { conversation, kind } => {
                session.device().lock().fence().expect();
                let initiated = store.initiate_call(app, party, *conversation, *kind);
                let ringing = initiated.await?;
                let (Ringing::New(call)
                | Ringing::Already(call)
                | Ringing::Connected(call)
                | Ringing::Merged(call)
                | Ringing::Busy(call)) = ringing;
                if !matches!(ringing, Ringing::Busy(_)) {
                    self.parts.calls.joined(&request.socket, call);
                }
                let facts = CallFacts {
                    call,
                    peer: &party.peer,
                    conversation: *conversation,
                    kind: *kind,
                    reason: None,
                };
                Ok(match ringing {
                    Ringing::New(_) => facts.ringing(),
                    Ringing::Already(_) => {
                        // The stores tell nothing: nothing changed.
                        let ringing = wire::frame(Dialect::Consult, &facts.ringing());
                        wire::send(&request.socket, &ringing, Class::Message);
                        facts.ringing()
                    }
                    Ringing::Connected(_) | Ringing::Merged(_) => facts.accepted(),
                    Ringing::Busy(_) => facts.busy(),
                })
            }
            CallAction::Accept => {
                session.device().lock().fence().expect();
                let call = store.accept_call(app, party).await?;
                self.parts.calls.joined(&request.socket, call);
                Ok(consult::call_connected(call))
            }
            CallAction::Reject { reason } => {
                let call = store.reject_call(app, party, reason.as_deref()).await?;
                Calls::left(&request.socket, call);
                Ok(heard)
            }
            CallAction::End => {
                if let Some(call) = store.end_call(app, party).await? {
                    Calls::left(&request.socket, call);
                }
                Ok(heard)
            }
            CallAction::Signal(signal) => {
                let route = store.route_signal(app, party, signal).await?;
                self.follow(request, party, signal, route);
                Ok(heard)
            }
        }
    }

    /// Passes a signal on if it may pass now.
    fn follow(&self, request: &Request, party: &Party, signal: &Signal, route: Route) {
        match route {
            Route::Relay { call, to, place } => {
                let relayed = Handed {
                    call,
                    from: party.user.clone(),
                    to,
                    first: place,
                    signals: vec![signal.clone()],
                };
                let app = &request.socket.session().app().id;
                self.parts.calls.relay(app, &relayed);
            }
            Route::Parked => {}
            Route::Dropped => tracing::debug!("a signal that nobody may hear"),
        }
    }
}

fn confirm(request: &Request, event: &ServerEvent) {
    count(&request.command, "ok");
    if let Some(ack) = request.ack {
        wire::confirm(&request.socket, ack, Some(&event.to_ack()));
    }
}
