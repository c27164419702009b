//! Who takes part: people with devices, each in two conversations, so that a mix-up would show.

use std::sync::Arc;

use load_kit::{Endpoints, User, users};

/// The app of nearly everybody: calls ring for 3 s, and a device may be gone for 2 s.
pub const HASTY: &str = "hasty";
/// The app whose calls ring long enough for a caller to stay away.
pub const PATIENT: &str = "consult";
/// How long calls of the hasty app ring, in milliseconds.
pub const RING_MS: u64 = 3_000;

/// Somebody, and who they talk to.
#[derive(Debug)]
pub struct Person {
    /// What records call them: `p3`.
    pub name: String,
    /// Id, role and token.
    pub user: User,
    /// What they take part in.
    pub talks: Vec<Arc<Talk>>,
}

/// A conversation of two.
#[derive(Debug)]
pub struct Talk {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub booking: String,
    /// The consultant's id.
    pub consultant: String,
    /// The patient's id.
    pub patient: String,
    /// Part of the content of all its messages.
    pub canary: String,
}

impl Talk {
    /// Returns the other one.
    #[must_use]
    pub fn peer(&self, user: &str) -> &str {
        if self.patient == user {
            &self.consultant
        } else {
            &self.patient
        }
    }
}

/// Makes `count` consultants and as many patients. Each has a conversation with two of the others,
/// or with one where there is one.
///
/// # Errors
///
/// Returns what a store refused.
pub async fn circle(
    endpoints: &Endpoints,
    http: &reqwest::Client,
    app: &str,
    prefix: &str,
    count: usize,
) -> anyhow::Result<Vec<Arc<Person>>> {
    let secret = endpoints.secret(app)?;
    let make = |role| {
        (0..count)
            .map(|_| User::new(secret, role))
            .collect::<Result<Vec<_>, _>>()
    };
    let (consultants, patients) = (make("consultant")?, make("patient")?);
    users::introduce(endpoints, http, app, consultants.iter().chain(&patients)).await?;

    let mut talks = Vec::new();
    for (i, consultant) in consultants.iter().enumerate() {
        let near = patients.get(i);
        let next = patients.get((i + 1) % count).filter(|_| 1 < count);
        for patient in [near, next].into_iter().flatten() {
            let (consultant, patient) = (consultant.clone(), patient.clone());
            let pair = users::converse(endpoints, http, app, consultant, patient).await?;
            talks.push(Arc::new(Talk {
                canary: format!("canary-{}", uuid::Uuid::new_v4().simple()),
                id: pair.conversation,
                booking: pair.booking,
                consultant: pair.consultant.id,
                patient: pair.patient.id,
            }));
        }
    }
    let people = consultants.into_iter().chain(patients).enumerate();
    Ok(people
        .map(|(i, user)| {
            let is_in = |talk: &&Arc<Talk>| talk.consultant == user.id || talk.patient == user.id;
            Arc::new(Person {
                name: format!("{prefix}{i}"),
                talks: talks.iter().filter(is_in).cloned().collect(),
                user,
            })
        })
        .collect())
}
