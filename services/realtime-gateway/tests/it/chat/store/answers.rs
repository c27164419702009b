//! What the store in memory answers to each request.

use super::*;

impl FakeStore {
    /// Knows whom the conversations of an app have.
    fn find_user(&self, request: &v1::FindUserRequest) -> Result<Bytes, ChatError> {
        let id = UserId::new(&request.user_id)?;
        let conversations = self.conversations.lock();
        let known = conversations.values().find_map(|stored| {
            let conversation = &stored.conversation;
            let is_there = conversation.app.as_str() == request.app;
            conversation.participant(&id).filter(|_| is_there)
        });
        let known = known.ok_or(ChatError::UserNotFound)?;
        let user = User {
            id,
            role: known.role,
            name: known.name.as_deref().map(str::to_owned),
            email: None,
            avatar_url: None,
        };
        Ok(encode(&v1::FindUserReply {
            user: Some((&user).into()),
        }))
    }

    pub(super) async fn answer(&self, rpc: Rpc, payload: Bytes) -> Result<Bytes, ChatError> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        Ok(match rpc {
            Rpc::ListRevocations => self.list_revocations(payload),
            Rpc::OpenSession => {
                let request = v1::OpenSessionRequest::decode(payload).unwrap();
                let user = User::try_from(request.user.unwrap()).unwrap();
                let conversations = self.conversations.lock();
                let of_user = conversations.values().filter(|stored| {
                    let conversation = &stored.conversation;
                    let is_own = conversation.participant(&user.id).is_some();
                    is_own && conversation.app.as_str() == request.app
                });
                let heads = of_user.map(|stored| head(&stored.conversation)).collect();
                encode(&v1::OpenSessionReply {
                    heads,
                    complete: true,
                    epoch,
                })
            }
            Rpc::FindUser => self.find_user(&v1::FindUserRequest::decode(payload).unwrap())?,
            Rpc::ResumeSession => {
                let request = v1::ResumeSessionRequest::decode(payload).unwrap();
                let user = User::try_from(request.user.clone().unwrap()).unwrap();
                self.resume(&request, &user.id)?
            }
            Rpc::GetConversation => {
                let request = v1::GetConversationRequest::decode(payload).unwrap();
                let user = UserId::new(&request.user_id)?;
                let conversation = self.visible(&user, &request.conversation_id)?;
                encode(&v1::GetConversationReply {
                    conversation: Some((&conversation).into()),
                })
            }
            Rpc::Heads => {
                let request = v1::HeadsRequest::decode(payload).unwrap();
                let conversations = self.conversations.lock();
                let ids = request.conversation_ids.iter();
                let known =
                    ids.filter_map(|id| conversations.get(&ConversationId::from_wire(id).unwrap()));
                let heads = known.map(|stored| head(&stored.conversation)).collect();
                encode(&v1::HeadsReply { heads, epoch })
            }
            Rpc::Begun => self.begun(&v1::BegunRequest::decode(payload).unwrap(), epoch),
            Rpc::Append => {
                self.append(v1::AppendRequest::decode(payload).unwrap())
                    .await?
            }
            Rpc::Range => {
                let request = v1::RangeRequest::decode(payload).unwrap();
                let id = ConversationId::from_wire(&request.conversation_id).unwrap();
                let conversations = self.conversations.lock();
                let stored = &conversations[&id];
                encode(&v1::RangeReply {
                    conversation: Some((&stored.conversation).into()),
                    messages: after(stored, request.after_seq, request.limit as usize),
                    epoch,
                })
            }
            Rpc::Sync => self.sync(v1::SyncRequest::decode(payload).unwrap())?,
            Rpc::Receive => {
                self.receive(v1::ReceiveRequest::decode(payload).unwrap())
                    .await?
            }
            Rpc::OpenConversation => {
                self.open_conversation(v1::OpenConversationRequest::decode(payload).unwrap())?
            }
            Rpc::Read => self.read(v1::ReadRequest::decode(payload).unwrap()).await?,
            Rpc::InitiateCall
            | Rpc::AcceptCall
            | Rpc::RejectCall
            | Rpc::EndCall
            | Rpc::Signal
            | Rpc::CheckCalls
            | Rpc::DeviceGone
            | Rpc::DeviceBack
            | Rpc::CallsTold
            | Rpc::GatewayAlive
            | Rpc::SetStatus => self.answer_call(rpc, payload).await?,
        })
    }

    fn begun(&self, request: &v1::BegunRequest, epoch: u64) -> Bytes {
        let conversations = self.conversations.lock();
        let begun = conversations.values().filter_map(|stored| {
            let began_ms = stored.messages.first()?.created_at.0;
            let is_of_app = stored.conversation.app.as_str() == request.app;
            (is_of_app && request.after_ms < began_ms).then(|| v1::Begun {
                conversation: Some((&stored.conversation).into()),
                began_ms,
            })
        });
        encode(&v1::BegunReply {
            begun: begun.collect(),
            epoch,
        })
    }

    fn sync(&self, request: v1::SyncRequest) -> Result<Bytes, ChatError> {
        let user = UserId::new(&request.user_id)?;
        let mut synced = Vec::new();
        for position in request.since {
            let conversation = self.visible(&user, &position.conversation_id)?;
            let conversations = self.conversations.lock();
            synced.push(v1::SyncedConversation {
                conversation: Some((&conversation).into()),
                messages: after(&conversations[&conversation.id], position.seq, 200),
                more: false,
            });
        }
        Ok(encode(&v1::SyncReply {
            conversations: synced,
        }))
    }

    fn resume(
        &self,
        request: &v1::ResumeSessionRequest,
        user: &UserId,
    ) -> Result<Bytes, ChatError> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        if request.epoch != epoch {
            return Err(ChatError::Conflict("another generation"));
        }
        let conversations = self.conversations.lock();
        let own = conversations
            .values()
            .filter(|stored| stored.conversation.participant(user).is_some());
        let since = request.others_since_ms.unwrap_or(i64::MIN);
        let mut stands = Vec::new();
        for stored in own.clone() {
            let id = stored.conversation.id.to_wire();
            let named = request
                .stands
                .iter()
                .find(|stand| stand.conversation_id == id);
            let mut known = stored.messages.iter();
            let after_seq = match named {
                Some(named) => named.after_seq,
                None => known
                    .rposition(|one| one.created_at.0 <= since)
                    .map_or(0, |n| n as u64 + 1),
            };
            stands.push(v1::Stand {
                conversation_id: id,
                after_seq,
                last_seq: stored.conversation.last_seq.0,
            });
        }
        let is_own = |id: &Bytes| stands.iter().any(|stand| stand.conversation_id == *id);
        let named = request.stands.iter().map(|stand| &stand.conversation_id);
        if !named.chain(&request.joined).all(is_own) {
            return Err(ChatError::NotParticipant);
        }
        let n_missed = stands
            .iter()
            .map(|stand| stand.last_seq.saturating_sub(stand.after_seq))
            .sum();
        if 5_000 < n_missed {
            return Err(ChatError::TooLarge("what was missed"));
        }
        let heads = own.map(|stored| head(&stored.conversation)).collect();
        Ok(encode(&v1::ResumeSessionReply {
            opened: Some(v1::OpenSessionReply {
                heads,
                complete: true,
                epoch,
            }),
            stands,
            n_missed,
            receipts: Vec::new(),
        }))
    }

    async fn append(&self, request: v1::AppendRequest) -> Result<Bytes, ChatError> {
        let sender = User::try_from(request.sender.unwrap()).unwrap();
        let conversation = self.addressed(&request.app, &sender.id, &request.target)?;
        let mut results = Vec::new();
        for item in request.items {
            let (id, role) = (conversation.id, sender.role);
            let before = self.last_seq(id);
            let message = self.insert(
                id,
                &sender.id,
                role,
                &item.key,
                item.text,
                item.key_is_clients,
            );
            let duplicate = message.seq <= before;
            self.publish_message(id, &message, request.origin.clone())
                .await;
            results.push(v1::AppendResult {
                outcome: Some(v1::append_result::Outcome::Message((&message).into())),
                duplicate,
            });
        }
        if 0 < self.lost_answers.fetch_sub(1, Ordering::SeqCst) {
            return Err(unavailable());
        }
        let conversation = self.conversations.lock()[&conversation.id]
            .conversation
            .clone();
        Ok(encode(&v1::AppendReply {
            conversation: Some((&conversation).into()),
            results,
            epoch: self.epoch.load(Ordering::SeqCst),
        }))
    }

    async fn receive(&self, request: v1::ReceiveRequest) -> Result<Bytes, ChatError> {
        let receipt = request.receipt();
        let user = UserId::new(&request.user_id)?;
        let conversation = self.visible(&user, &request.conversation_id)?;
        let now = service_kit::now();
        let mut marked = Vec::new();
        if let Some(stored) = self.conversations.lock().get_mut(&conversation.id) {
            for message in &mut stored.messages {
                let is_asked = request.message_ids.contains(&message.id.to_string());
                let mark = match receipt {
                    v1::ReceiptKind::Read => &mut message.read_at,
                    v1::ReceiptKind::Delivered | v1::ReceiptKind::Unspecified => {
                        &mut message.delivered_at
                    }
                };
                if is_asked && message.sender != user && mark.is_none() {
                    *mark = Some(now);
                    marked.push(message.id.to_wire());
                }
            }
        }
        if !marked.is_empty() {
            let body = v1::envelope::Body::MessagesReceived(v1::MessagesReceived {
                conversation_id: conversation.id.to_wire(),
                receipt: receipt.into(),
                user_id: request.user_id,
                message_ids: marked.clone(),
                at_ms: now.0,
            });
            self.publish(&conversation, body, request.origin).await;
        }
        Ok(encode(&v1::ReceiveReply {
            conversation_id: conversation.id.to_wire(),
            message_ids: marked,
            at_ms: now.0,
        }))
    }
}

fn head(conversation: &Conversation) -> v1::Head {
    v1::Head {
        conversation_id: conversation.id.to_wire(),
        last_seq: conversation.last_seq.0,
        changed_at_ms: conversation.updated_at.0,
    }
}

fn after(stored: &Stored, seq: u64, limit: usize) -> Vec<v1::Message> {
    let messages = stored.messages.iter();
    let behind = messages.filter(|message| seq < message.seq.0);
    behind.take(limit).map(Into::into).collect()
}
