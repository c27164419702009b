//! Against what a run goes: where clients connect, and who they are.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::{
    endpoints::Endpoints,
    users::{self, Pair, User},
};

/// A deployment, and people there.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) pairs: Vec<Pair>,
    /// Tokens of those who only are there; taken in turn.
    pub(crate) idle: Vec<String>,
}

/// A conversation as the file of a deployment has it.
#[derive(Deserialize)]
struct Known {
    conversation: String,
    consultant: Person,
    patient: Person,
}

#[derive(Deserialize)]
struct Person {
    id: String,
    token: String,
}

impl Target {
    /// Makes conversations, and somebody for each idle socket, in a system of `cargo xtask up`.
    pub(crate) async fn made(endpoints: &Path, pairs: usize, idle: usize) -> anyhow::Result<Self> {
        let endpoints = Endpoints::load(endpoints)?;
        let secret = endpoints.secret("consult")?;
        let idle = (0..idle).map(|_| Ok(User::new(secret, "patient")?.token));
        Ok(Self {
            idle: idle.collect::<anyhow::Result<_>>()?,
            pairs: users::pairs(&endpoints, pairs).await?,
            url: endpoints.public,
        })
    }

    /// Takes the conversations that a file lists, at most `pairs` of them, whose people are there idly,
    /// too.
    pub(crate) fn listed(url: &str, file: &Path, pairs: usize) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let known: Vec<Known> = serde_json::from_str(&text)
            .with_context(|| format!("{} is no list of conversations", file.display()))?;
        ensure!(!known.is_empty(), "{} lists nobody", file.display());
        let pairs = known.into_iter().take(pairs).map(|known| Pair {
            conversation: known.conversation,
            booking: String::new(),
            consultant: known.consultant.with_role("consultant"),
            patient: known.patient.with_role("patient"),
        });
        let pairs: Vec<Pair> = pairs.collect();
        let both = |pair: &Pair| [pair.patient.token.clone(), pair.consultant.token.clone()];
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            idle: pairs.iter().flat_map(both).collect(),
            pairs,
        })
    }
}

impl Person {
    fn with_role(self, role: &'static str) -> User {
        User {
            id: self.id,
            role,
            token: self.token,
        }
    }
}
