//! Sending and reading messages.

use chat_domain::{ChatError, MessageId, Receipt, Status};
use chat_proto::v1;
use dialects::{Command, Fact, MarkRead, Send};
use uuid::Uuid;

use super::{Chat, Request, admit, answer, fail};
use crate::{delivery::as_of, store};

impl Chat {
    /// Stores messages of one socket for one target, and confirms each when it is durable: first
    /// the sender's sockets get it like everybody else, then the sending one is told.
    pub(super) async fn send_all(&self, requests: Vec<Request>) {
        let Some(Request {
            socket,
            trace,
            command: Command::Send(Send { target, .. }),
            ..
        }) = requests.first()
        else {
            return;
        };
        let session = socket.session();
        let items = requests.iter().filter_map(item).collect();
        let stored = self
            .parts
            .store
            .append(store::Append {
                app: &session.app().id,
                sender: session.user(),
                target: target.clone(),
                items,
                origin: self.origin(socket).to_wire(),
                traceparent: trace.to_string(),
            })
            .await;
        let appended = match stored {
            Ok(appended) => appended,
            Err(error) => {
                for request in &requests {
                    fail(request, &error);
                }
                return;
            }
        };
        self.membership.learn(session, &appended.conversation);
        let mut results = appended.results.into_iter();
        for request in &requests {
            match results.next() {
                Some(Ok(message)) => {
                    let conversation = &appended.conversation;
                    self.parts
                        .delivery
                        .appended(conversation, &message, appended.epoch, &request.socket)
                        .await;
                    let delivery = &self.parts.delivery;
                    delivery
                        .reached(&request.socket, conversation.id, message.seq)
                        .await;
                    let conversation = as_of(conversation, &message);
                    answer(request, &Fact::Sent(&message, &conversation));
                }
                Some(Err(error)) => fail(request, &error),
                None => fail(request, &ChatError::Internal("a result is missing".into())),
            }
        }
    }

    /// Marks messages read; the others hear of it from the store.
    pub(super) async fn mark_read(
        &self,
        request: &Request,
        read: &MarkRead,
    ) -> Result<(), ChatError> {
        let user = request.socket.session().key();
        let origin = self.origin(&request.socket).to_wire();
        let by = (origin, request.trace.to_string());
        let store = &self.parts.store;
        let marked: Vec<MessageId> = match read {
            MarkRead::In { conversation, ids } => {
                let read = store.receive(&user, *conversation, ids, Receipt::Read, by);
                let (marked, _at) = read.await?;
                marked
            }
            MarkRead::From(peer) => store.read_all_of(&user, peer, by).await?,
            MarkRead::Messages(ids) => store.read(&user, ids, by).await?,
        };
        answer(request, &Fact::Marked { ids: &marked });
        Ok(())
    }

    /// Takes what the user says of itself; whom it concerns hears of it from the store.
    pub(super) async fn set_status(
        &self,
        request: &Request,
        status: Status,
    ) -> Result<(), ChatError> {
        let user = request.socket.session().key();
        self.parts.store.set_status(&user, status).await?;
        answer(request, &Fact::StatusSet(status));
        Ok(())
    }
}

/// Makes the item of a send. Its content was checked when it was admitted.
fn item(request: &Request) -> Option<v1::AppendItem> {
    let Command::Send(send) = &request.command else {
        return None;
    };
    let content = admit::content(send, request.socket.session()).ok()?;
    Some(v1::AppendItem {
        key: match &send.client_key {
            Some(key) => key.as_str().to_owned(),
            None => Uuid::new_v4().to_string(),
        },
        key_is_clients: send.client_key.is_some(),
        kind: content.kind().as_str().to_owned(),
        text: content.text().to_owned(),
        attachment: content.attachment().map(Into::into),
    })
}
