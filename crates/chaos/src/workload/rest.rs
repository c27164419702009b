//! A person's REST client: reads pages and counters, posts and marks, through the load balancer.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Phase, Stage};
use crate::{
    history::{Event, Marking, Message, Outcome, Sending, Whose, Window},
    people::{Person, Talk},
    rng::Rng,
};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads and posts by itself until the run settles; what it has begun to post it posts to the end.
pub async fn reader(person: Arc<Person>, stage: Arc<Stage>, rng: Rng) {
    let name = format!("{}.rest", person.name);
    let mut reader = Reader {
        rng: rng.fork(&name),
        name,
        person,
        stage,
        posts: 0,
    };
    while *reader.stage.phase.borrow() == Phase::Busy {
        let pause = reader.rng.millis(300, 2_500);
        sleep(pause).await;
        // What fails was not answered: that is all that it means to the history.
        let _ = reader.act().await;
    }
}

struct Reader {
    name: String,
    person: Arc<Person>,
    stage: Arc<Stage>,
    rng: Rng,
    posts: u64,
}

impl Reader {
    async fn act(&mut self) -> anyhow::Result<()> {
        let talks = self.person.talks.clone();
        let talk = self.rng.pick(&talks).context("nobody to talk to")?;
        match self.rng.below(10) {
            0..=4 => self.page(talk).await,
            5..=6 => self.unread(talk).await,
            _ => {
                self.post(talk).await;
                Ok(())
            }
        }
    }

    async fn page(&mut self, talk: &Talk) -> anyhow::Result<()> {
        let limit = self.rng.below(60) + 1;
        let mut window = Window {
            user: self.person.user.id.clone(),
            limit,
            ascending: self.rng.chance(50),
            ..Window::default()
        };
        let place = self.rng.below(300);
        match self.rng.below(3) {
            0 => window.after = Some(place),
            1 => window.before = Some(place + 1),
            _ => {}
        }
        let messages = read_page(&self.stage, &self.person, &talk.id, &window, &self.name).await?;

        let of_others = messages
            .iter()
            .filter(|message| message.sender_id != self.person.user.id && !message.is_read);
        let ids: Vec<_> = of_others
            .map(|message| message.id.clone())
            .take(4)
            .collect();
        if !ids.is_empty() && self.rng.chance(40) {
            self.mark(talk, ids).await?;
        }
        Ok(())
    }

    async fn mark(&self, talk: &Talk, ids: Vec<String>) -> anyhow::Result<()> {
        let t_invoke = self.stage.recorder.now();
        let body = json!({"messageIds": ids});
        let path = format!("conversations/{}/read", talk.id);
        let answer = self.request(&path, Some(&body)).await;
        let key = talk.id.clone();
        let args = Marking {
            user: self.person.user.id.clone(),
            ids,
        };
        let event = Event::Read {
            key,
            args,
            result: None,
        };
        if answer.is_ok() {
            self.stage.recorder.done(t_invoke, &self.name, event);
        } else {
            self.stage.recorder.open(t_invoke, &self.name, event);
        }
        answer.map(drop)
    }

    async fn unread(&self, talk: &Talk) -> anyhow::Result<()> {
        read_unread(&self.stage, &self.person, &talk.id, &self.name)
            .await
            .map(drop)
    }

    /// Posts a message, again and again until it is confirmed.
    async fn post(&mut self, talk: &Talk) {
        self.posts += 1;
        let recorder = &self.stage.recorder;
        let t_invoke = recorder.now();
        let key = Uuid::new_v4().to_string();
        let mut args = Sending {
            conversation: talk.id.clone(),
            sender: self.person.user.id.clone(),
            content: format!("{} {}", talk.canary, Uuid::new_v4().simple()),
            session: None,
            attempts: 0,
            order: self.posts,
        };
        let body = json!({
            "consultantId": talk.consultant,
            "patientId": talk.patient,
            "bookingId": talk.booking,
            "senderType": self.person.user.role,
            "content": args.content,
            "clientMessageId": key,
        });
        while *self.stage.phase.borrow() != Phase::Over {
            args.attempts += 1;
            if let Ok(answer) = self.request("messages", Some(&body)).await {
                let message: Result<Message, _> = serde_json::from_value(answer["message"].clone());
                let result =
                    message.map_or_else(|_| Outcome::Refused(answer.to_string()), Outcome::Stored);
                let result = Some(result);
                recorder.done(t_invoke, &self.name, Event::Send { key, args, result });
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
        recorder.open(
            t_invoke,
            &self.name,
            Event::Send {
                key,
                args,
                result: None,
            },
        );
    }

    async fn request(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        request(&self.stage, &self.person, path, body).await
    }
}

/// Reads a page by REST and writes it down.
///
/// # Errors
///
/// Returns why there was none.
pub async fn read_page(
    stage: &Stage,
    person: &Person,
    talk: &str,
    window: &Window,
    proc: &str,
) -> anyhow::Result<Vec<Message>> {
    let order = if window.ascending { "asc" } else { "desc" };
    let mut path = format!(
        "conversations/{talk}/messages?limit={}&order={order}",
        window.limit
    );
    if let Some(after) = window.after {
        path.extend(["&afterSeq=".to_owned(), after.to_string()]);
    }
    if let Some(before) = window.before {
        path.extend(["&beforeSeq=".to_owned(), before.to_string()]);
    }
    let t_invoke = stage.recorder.now();
    let answer = request(stage, person, &path, None).await?;
    let result: Vec<Message> = serde_json::from_value(answer["messages"].clone())?;
    let event = Event::Page {
        key: talk.to_owned(),
        args: window.clone(),
        result: result.clone(),
    };
    stage.recorder.done(t_invoke, proc, event);
    Ok(result)
}

/// Reads the unread counter by REST and writes it down.
///
/// # Errors
///
/// Returns why there was none.
pub async fn read_unread(
    stage: &Stage,
    person: &Person,
    talk: &str,
    proc: &str,
) -> anyhow::Result<u64> {
    let user = person.user.id.clone();
    let t_invoke = stage.recorder.now();
    let path = format!("conversations/{talk}/unread?userId={user}");
    let answer = request(stage, person, &path, None).await?;
    let result = answer["unreadCount"].as_u64().context("no unreadCount")?;
    let event = Event::Unread {
        key: talk.to_owned(),
        args: Whose { user },
        result,
    };
    stage.recorder.done(t_invoke, proc, event);
    Ok(result)
}

/// Asks the REST of the stores, as `person`. Anything that may be over in a moment is an error.
///
/// # Errors
///
/// Returns that it was not answered, or that the system is not available.
pub async fn request(
    stage: &Stage,
    person: &Person,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let url = format!("{}/api/v1/chat/{path}", stage.endpoints.public);
    let request = match body {
        Some(body) => stage.http.post(url).json(body),
        None => stage.http.get(url),
    };
    let answer = request
        .bearer_auth(&person.user.token)
        .timeout(PATIENCE)
        .send()
        .await?;
    let status = answer.status();
    anyhow::ensure!(
        !status.is_server_error() && status.as_u16() != 429,
        "answered with {status}"
    );
    Ok(answer.json().await?)
}
