//! Requests to the stores against a script of answers: what is asked again, and what is not.

use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use prost::Message as _;
use uuid::Uuid;

use super::*;

/// Answers requests with what it was given, and with silence after that.
struct Script {
    answers: Mutex<Vec<Result<Bytes, ChatError>>>,
    asked: Mutex<Vec<Bytes>>,
}

impl Requests for Script {
    fn request(
        &self,
        _subject: String,
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, ChatError>> {
        self.asked.lock().push(payload);
        let answer = self.answers.lock().pop();
        async move {
            if let Some(answer) = answer {
                return answer;
            }
            tokio::time::sleep(timeout).await;
            Err(nobody())
        }
        .boxed()
    }
}

fn nobody() -> ChatError {
    ChatError::Unavailable {
        dependency: "store",
        source: "nobody listens".into(),
    }
}

fn script(answers: Vec<Result<Bytes, ChatError>>) -> (Store, Arc<Script>) {
    let script = Arc::new(Script {
        answers: Mutex::new(answers),
        asked: Mutex::default(),
    });
    (Store::new(Arc::clone(&script) as Arc<dyn Requests>), script)
}

async fn append(store: &Store) -> Result<Appended, ChatError> {
    let sender = User {
        id: chat_domain::UserId::new("ann").unwrap(),
        role: chat_domain::Role::Patient,
        name: None,
        email: None,
        avatar_url: None,
    };
    let item = v1::AppendItem {
        key: Uuid::new_v4().to_string(),
        ..v1::AppendItem::default()
    };
    let append = Append {
        app: &AppId::new("consult").unwrap(),
        sender: &sender,
        target: Uuid::nil().to_string(),
        items: vec![item],
        origin: Bytes::new(),
        traceparent: String::new(),
    };
    store.append(append).await
}

#[tokio::test(start_paused = true)]
async fn an_append_is_tried_four_times_with_the_same_key() {
    let (store, script) = script(vec![]);

    let error = append(&store).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let asked = script.asked.lock();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|payload| *payload == asked[0]));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_known_at_once_is_retried_after_a_pause() {
    let answers = (0..10).map(|_| Err(nobody())).collect();
    let (store, script) = script(answers);
    let started = Instant::now();

    append(&store).await.unwrap_err();

    // Ten quick failures take one to three seconds, and silence the rest.
    assert!((13..=14).contains(&script.asked.lock().len()));
    assert!(Duration::from_secs(7) < started.elapsed());
}

#[tokio::test]
async fn a_refusal_is_final() {
    let refusal = chat_proto::reply::<v1::AppendReply>(Err(&ChatError::NotParticipant));
    let (store, script) = script(vec![Ok(refusal)]);

    let error = append(&store).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(script.asked.lock().len(), 1);
}

#[tokio::test]
async fn an_answer_without_meaning_is_an_error() {
    for answer in [
        Bytes::from_static(b"\xff\xff"),
        v1::Reply::default().encode_to_vec().into(),
    ] {
        let (store, _script) = script(vec![Ok(answer)]);

        assert_eq!(
            append(&store).await.unwrap_err().kind(),
            ErrorKind::Internal
        );
    }
}
