//! I13 and I14: who sees what.

use super::{Violation, index::Index};
use crate::history::{Event, Message, Record};

/// I13: what is said in a conversation reaches its people, and nobody else.
pub(super) fn isolated(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for record in index.records {
        match &record.event {
            Event::Heard { args } => {
                let talk = args.message.conversation_id.as_str();
                found.extend(judge(index, record, talk, &args.user, &args.message));
            }
            Event::Synced { key, args, result } | Event::Page { key, args, result } => {
                for message in result {
                    found.extend(judge(index, record, key, &args.user, message));
                }
            }
            _ => {}
        }
    }
    found
}

fn judge(
    index: &Index<'_>,
    record: &Record,
    talk: &str,
    user: &str,
    message: &Message,
) -> Option<Violation> {
    let about = index.talks.get(talk);
    let may_see = about.is_some_and(|talk| talk.users.iter().any(|known| known == user));
    let belongs = message.conversation_id == talk
        && (message.message_type == "system"
            || about.is_some_and(|talk| message.content.contains(&talk.canary)));
    let what = match (may_see, belongs) {
        (true, true) => return None,
        (false, _) => "somebody saw a conversation of others",
        (true, false) => "a message of another conversation",
    };
    Some(Violation::new("I13", what, [record]))
}

/// I14: no log and no metric holds content or a secret.
pub(super) fn nothing_leaks(index: &Index<'_>) -> Vec<Violation> {
    let leaks = index
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Leak { key, result } => {
                let what = format!("{result} in {key}");
                Some(Violation::new("I14", what, [record]))
            }
            _ => None,
        });
    leaks.collect()
}
