//! How a call that is over reads in its conversation: the one place with the words.
//!
//! Who may read them is the conversation's matter.

use std::time::Duration;

use chat_domain::call::{Call, CallKind, Outcome, Phase};

/// Says how the call ended; `None` while it has not.
pub(super) fn sentence(call: &Call) -> Option<String> {
    let Phase::Over(outcome) = call.phase else {
        return None;
    };
    let (name, capital) = match call.kind {
        CallKind::Audio => ("audio call", "Audio call"),
        CallKind::Video => ("video call", "Video call"),
    };
    Some(match outcome {
        Outcome::Busy => format!("Missed {name}, busy"),
        Outcome::NoAnswer => format!("Missed {name}"),
        Outcome::Rejected => format!("{capital} declined"),
        Outcome::Cancelled => format!("{capital} cancelled"),
        Outcome::Ended => format!("{capital}, {}", length(call.duration().unwrap_or_default())),
    })
}

fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use chat_domain::{
        ConversationId, Timestamp, UserId,
        call::{CallId, Leg},
    };
    use uuid::Uuid;

    use super::*;

    fn call(kind: CallKind, phase: Phase, seconds: u64) -> Call {
        let leg = |user| Leg {
            user: UserId::new(user).unwrap(),
            device: None,
            gone_since: None,
            heard_until: None,
            n_signals: 0,
        };
        Call {
            id: CallId(Uuid::nil()),
            conversation: ConversationId(Uuid::nil()),
            kind,
            caller: leg("a"),
            callee: leg("b"),
            phase,
            version: 1,
            started_at: Timestamp(0),
            rings_until: Timestamp(0),
            grace: Duration::ZERO,
            answered_at: Some(Timestamp(0)),
            ended_at: Some(Timestamp(0).after(Duration::from_secs(seconds))),
            awaits_answer: false,
            reason: None,
        }
    }

    #[test]
    fn every_outcome_has_its_words() {
        for (kind, outcome, expected) in [
            (CallKind::Video, Outcome::Busy, "Missed video call, busy"),
            (CallKind::Audio, Outcome::NoAnswer, "Missed audio call"),
            (CallKind::Video, Outcome::Rejected, "Video call declined"),
            (CallKind::Audio, Outcome::Cancelled, "Audio call cancelled"),
            (CallKind::Video, Outcome::Ended, "Video call, 0 s"),
        ] {
            let text = sentence(&call(kind, Phase::Over(outcome), 0));
            assert_eq!(text.as_deref(), Some(expected));
        }
        let live = call(CallKind::Video, Phase::Connected, 0);
        assert_eq!(sentence(&live), None);
    }

    #[test]
    fn lengths_are_told_as_people_tell_them() {
        for (seconds, expected) in [
            (59, "59 s"),
            (60, "1 min 0 s"),
            (192, "3 min 12 s"),
            (3_599, "59 min 59 s"),
            (7_384, "2 h 3 min"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), expected);
        }
    }
}
