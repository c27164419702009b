//! A row for each reason, told as gateways would note it.

use chat_domain::{
    ConversationId, Seq, Timestamp, UserId,
    call::{DeviceId, GatewayId},
};
use uuid::Uuid;

use super::{
    super::devices::{self, State},
    *,
};
use crate::ports_journey::{Named, Seen, Shown, Sighting, Standing};

const SENT: Timestamp = Timestamp(1_000_000);
const SEQ: Seq = Seq(7);

fn facts() -> Facts {
    Facts {
        stored: Stored {
            conversation: ConversationId(Uuid::from_u128(1)),
            seq: SEQ,
            sender: UserId::new("sender").unwrap(),
            created_at: SENT,
            delivered_at: None,
            read_at: None,
            is_untold: false,
            revoked_until: None,
            shown: Vec::new(),
            connected: Vec::new(),
        },
        is_participant: true,
        is_sender: false,
        is_expired: false,
    }
}

fn delivered() -> Facts {
    let mut facts = facts();
    facts.stored.delivered_at = Some(Timestamp(SENT.0 + 5));
    facts
}

/// A note about a socket of gateway 1, so many milliseconds after the message.
fn note(after_ms: i64, socket: u64, seen: Seen) -> Sighting {
    Sighting {
        at: Timestamp(SENT.0 + after_ms),
        device: DeviceId {
            gateway: GatewayId(1),
            socket,
        },
        seen,
    }
}

/// A session, by the number of its first socket, that began a minute before the message.
fn named(session: u64) -> Named {
    began(session, -60_000)
}

fn began(session: u64, after_ms: i64) -> Named {
    Named {
        socket_id: format!("session-{session}"),
        began: Timestamp(SENT.0 + after_ms),
    }
}

fn stands(session: u64, standing: Standing) -> Sighting {
    let socket = named(session);
    note(9_000, session, Seen::Stands { socket, standing })
}

fn went(after_ms: i64, session: u64, reason: &str) -> Sighting {
    let (socket, reason) = (named(session), reason.to_owned());
    note(after_ms, session, Seen::Went { socket, reason })
}

fn verdict(facts: &Facts, sightings: &[Sighting]) -> Verdict {
    judge(facts, &devices::of(sightings, SEQ, SENT), true)
}

#[test]
fn each_reason_is_named_by_what_was_noted() {
    let here = |seq| stands(1, Standing::At(Seq(seq)));
    for (sightings, expected) in [
        (vec![], Verdict::NoDeviceConnected),
        (
            vec![went(-5_000, 1, "transport_closed")],
            Verdict::NoDeviceConnected,
        ),
        (vec![went(-5_000, 1, "revoked")], Verdict::Revoked),
        (vec![here(6)], Verdict::EventMissing),
        (vec![stands(1, Standing::Unknown)], Verdict::EventMissing),
        (
            vec![stands(1, Standing::Behind(Seq(6)))],
            Verdict::CatchingUp,
        ),
        (
            vec![
                note(1, 1, Seen::Behind),
                stands(1, Standing::Behind(Seq(5))),
            ],
            Verdict::CatchingUp,
        ),
        (
            vec![
                note(1, 1, Seen::NoRoom),
                stands(1, Standing::Behind(Seq(5))),
            ],
            Verdict::HeldBackSlowReader,
        ),
        (
            vec![note(1_001, 1, Seen::Waiting), here(7)],
            Verdict::WaitingForClient,
        ),
        (
            vec![note(1, 1, Seen::NotHeard), stands(1, Standing::Outside)],
            Verdict::NotJoined,
        ),
        (
            vec![note(1, 1, Seen::NotHeard), went(2_000, 1, "draining")],
            Verdict::ClosedBeforeWritten,
        ),
        (
            vec![note(1, 1, Seen::Skipped), here(6_000)],
            Verdict::ToldToFetch,
        ),
        (
            vec![went(1, 1, "ping_timeout"), note(2, 1, Seen::Lost)],
            Verdict::ClosedBeforeWritten,
        ),
        (
            vec![note(1, 1, Seen::Written(Way::Event)), here(7)],
            Verdict::WrittenNotAcknowledged,
        ),
        (
            vec![note(60, 1, Seen::Written(Way::Repair)), here(7)],
            Verdict::DeliveredAfterLoss,
        ),
        (vec![note(0, 0, Seen::Nobody)], Verdict::NoDeviceConnected),
        (
            vec![note(
                -900,
                1,
                Seen::Came {
                    socket: named(1),
                    is_back: false,
                },
            )],
            Verdict::JournalIncomplete,
        ),
    ] {
        assert_eq!(verdict(&facts(), &sightings), expected, "{sightings:?}");
    }
}

#[test]
fn what_the_database_knows_comes_first() {
    let written = [note(1, 1, Seen::Written(Way::Event))];
    let changed = |change: fn(&mut Facts)| {
        let mut facts = facts();
        change(&mut facts);
        facts
    };
    for (facts, expected) in [
        (
            changed(|facts| facts.is_participant = false),
            Verdict::NotAParticipant,
        ),
        (changed(|facts| facts.is_expired = true), Verdict::Expired),
        (
            changed(|facts| facts.stored.read_at = Some(SENT)),
            Verdict::Read,
        ),
        (
            changed(|facts| facts.stored.delivered_at = Some(SENT)),
            Verdict::Delivered,
        ),
        (changed(|facts| facts.is_sender = true), Verdict::Delivered),
    ] {
        assert_eq!(verdict(&facts, &written), expected, "{facts:?}");
    }
}

#[test]
fn without_a_device_the_database_says_why() {
    let changed = |change: fn(&mut Stored)| {
        let mut facts = facts();
        change(&mut facts.stored);
        facts
    };
    let shown = changed(|stored| {
        stored.shown.push(Shown {
            at: SENT,
            action: "read".to_owned(),
            device: None,
        });
    });
    for (facts, expected) in [
        (
            changed(|stored| stored.is_untold = true),
            Verdict::NotPublishedYet,
        ),
        (
            changed(|stored| stored.revoked_until = Some(Timestamp(SENT.0 + 1))),
            Verdict::Revoked,
        ),
        (
            // The user may have signed in again since.
            changed(|stored| stored.revoked_until = Some(Timestamp(SENT.0 - 1))),
            Verdict::NoDeviceConnected,
        ),
        (shown, Verdict::Fetched),
    ] {
        assert_eq!(verdict(&facts, &[]), expected, "{facts:?}");
    }
    assert_eq!(judge(&facts(), &[], false), Verdict::JournalIncomplete);
}

#[test]
fn an_event_that_is_not_told_yet_is_no_loss() {
    let mut facts = facts();
    facts.stored.is_untold = true;

    let verdict = verdict(&facts, &[stands(1, Standing::At(Seq(6)))]);

    assert_eq!(verdict, Verdict::NotPublishedYet);
}

#[test]
fn a_device_keeps_its_message_over_connections() {
    let came_back = note(
        4_000,
        2,
        Seen::Came {
            socket: began(1, 4_000),
            is_back: true,
        },
    );
    let refilled = note(4_050, 2, Seen::Written(Way::Refill));
    let lost = [went(1, 1, "transport_closed"), note(2, 1, Seen::Lost)];

    let written_later = [&lost[..], &[came_back.clone(), refilled]].concat();
    let had_it = note(
        9_000,
        2,
        Seen::Stands {
            socket: began(1, 4_000),
            standing: Standing::At(SEQ),
        },
    );
    let with_it = [came_back, had_it];

    let devices = devices::of(&written_later, SEQ, SENT);
    assert_eq!(devices.len(), 1, "{devices:?}");
    assert_eq!(devices[0].connections.len(), 2);
    assert_eq!(judge(&delivered(), &devices, true), Verdict::Delivered);
    assert_eq!(verdict(&delivered(), &with_it), Verdict::Delivered);
}

#[test]
fn a_device_that_began_later_fetches_by_itself() {
    let socket = began(1, 4_000);
    let is_back = false;
    let came = note(
        4_000,
        1,
        Seen::Came {
            socket: socket.clone(),
            is_back,
        },
    );
    let standing = Standing::At(SEQ);
    let stands = note(9_000, 1, Seen::Stands { socket, standing });

    assert_eq!(verdict(&facts(), &[came, stands]), Verdict::CameLater);
}

#[test]
fn the_device_that_lacks_it_is_the_reason() {
    let all = [
        note(1, 1, Seen::Written(Way::Event)),
        note(1, 2, Seen::NoRoom),
        stands(1, Standing::At(SEQ)),
        stands(2, Standing::Behind(Seq(5))),
    ];

    assert_eq!(verdict(&delivered(), &all), Verdict::HeldBackSlowReader);
    let devices = devices::of(&all, SEQ, SENT);
    let states: Vec<_> = devices.iter().map(|device| device.state).collect();
    assert_eq!(states, [State::Written(Way::Event), State::HeldBack]);
}

#[test]
fn a_device_that_was_gone_is_no_reason_where_another_has_it() {
    for gone in [
        went(-5_000, 2, "transport_closed"),
        went(-5_000, 2, "revoked"),
    ] {
        let all = [gone, note(1, 1, Seen::Written(Way::Event))];

        assert_eq!(verdict(&delivered(), &all), Verdict::Delivered);
    }
}

#[test]
fn every_verdict_has_a_name_of_its_own() {
    let all = [
        Verdict::NotAParticipant,
        Verdict::Expired,
        Verdict::Read,
        Verdict::Delivered,
        Verdict::DeliveredAfterLoss,
        Verdict::WrittenNotAcknowledged,
        Verdict::Fetched,
        Verdict::NotPublishedYet,
        Verdict::EventMissing,
        Verdict::CatchingUp,
        Verdict::HeldBackSlowReader,
        Verdict::WaitingForClient,
        Verdict::NotJoined,
        Verdict::ToldToFetch,
        Verdict::Revoked,
        Verdict::ClosedBeforeWritten,
        Verdict::CameLater,
        Verdict::NoDeviceConnected,
        Verdict::JournalIncomplete,
    ];
    let names: std::collections::HashSet<_> = all.iter().map(|one| one.code()).collect();

    assert_eq!(names.len(), all.len());
}
