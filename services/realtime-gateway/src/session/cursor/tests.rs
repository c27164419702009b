use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: Duration = Duration::from_hours(1);

fn key() -> RecoveryKey {
    RecoveryKey::new(b"deployment", HOUR)
}

fn owner(app: &str, user: &str) -> Owner<'static> {
    let app = AppId::new(app).unwrap();
    let user = UserId::new(user).unwrap();
    (Box::leak(Box::new(app)), Box::leak(Box::new(user)))
}

fn conversation(n: usize) -> ConversationId {
    ConversationId(Uuid::from_u128(n as u128))
}

fn beginning(n_listed: usize) -> Beginning {
    Beginning {
        tag: SessionTag::random(),
        at: NOW,
        epoch: 3,
        since: None,
        listed: (0..n_listed).map(|n| (conversation(n), Seq(7))).collect(),
    }
}

/// Returns the places of a session that began so.
fn places(beginning: &Beginning) -> Places {
    let listed = beginning.listed.iter().zip(0..);
    let listed = listed.map(|((id, seq), index)| Place::listed(*id, *seq, index));
    Places::new(beginning.epoch, true, listed)
}

fn queue(places: &mut Places, conversation: ConversationId, seq: u64) {
    let offered = places.offer(conversation, (3, Seq(seq)), |_| {
        crate::transport::Sent::Queued
    });
    assert_eq!(offered, crate::session::Offered::Queued);
}

#[test]
fn a_client_without_events_stands_where_it_began() {
    let (owner, beginning) = (owner("a", "ann"), beginning(2));
    let pid = key().pid(owner, &beginning);

    let claim = key().open(owner, &pid, None, NOW).unwrap();

    assert_eq!(claim.beginning, beginning);
    let after: Vec<_> = claim.places.iter().map(Place::after).collect();
    assert_eq!(after, [Some(Seq(7)), Some(Seq(7))]);
}

#[test]
fn what_changed_is_in_the_offset() {
    let (owner, beginning) = (owner("a", "ann"), beginning(2));
    let mut places = places(&beginning);
    queue(&mut places, conversation(1), 8);
    queue(&mut places, conversation(9), 1);
    places.join(conversation(0)).unwrap();
    places.leave(conversation(5)).unwrap();
    let pid = key().pid(owner, &beginning);
    let offset = key().offset(owner, beginning.tag, &places, NOW);

    let claim = key().open(owner, &pid, Some(&offset), NOW).unwrap();

    let mut stands: Vec<_> = claim
        .places
        .iter()
        .map(|place| {
            (
                place.conversation,
                place.after().map(|seq| seq.0),
                place.room,
            )
        })
        .collect();
    stands.sort_by_key(|(id, ..)| *id);
    let expected = [
        (conversation(0), Some(7), Room::Joined),
        (conversation(1), Some(8), Room::Heard),
        (conversation(5), Some(0), Room::Left),
        (conversation(9), Some(1), Room::Heard),
    ];
    assert_eq!(stands, expected);
}

#[test]
fn neither_is_of_use_to_anybody_else() {
    let (ann, beginning) = (owner("a", "ann"), beginning(1));
    let places = places(&beginning);
    let pid = key().pid(ann, &beginning);
    let offset = key().offset(ann, beginning.tag, &places, NOW);

    for other in [owner("a", "bob"), owner("b", "ann")] {
        let claim = key().open(other, &pid, Some(&offset), NOW);
        assert_eq!(claim, Err(BadClaim::Forged));
        // Nor with a pid of one's own.
        let own = key().pid(other, &beginning);
        let claim = key().open(other, &own, Some(&offset), NOW);
        assert_eq!(claim, Err(BadClaim::Forged));
    }
    let elsewhere = RecoveryKey::new(b"another deployment", HOUR);
    let claim = elsewhere.open(ann, &pid, None, NOW);
    assert_eq!(claim, Err(BadClaim::Forged));
}

#[test]
fn an_offset_goes_with_its_own_pid() {
    let owner = owner("a", "ann");
    let (one, two) = (beginning(1), beginning(1));
    let offset = key().offset(owner, one.tag, &places(&one), NOW);
    let pid = key().pid(owner, &two);

    let claim = key().open(owner, &pid, Some(&offset), NOW);

    assert_eq!(claim, Err(BadClaim::Forged));
}

#[test]
fn the_window_begins_with_the_last_event() {
    let (owner, beginning) = (owner("a", "ann"), beginning(1));
    let pid = key().pid(owner, &beginning);
    let later = |ms: i64| Timestamp(NOW.0 + ms);
    let (in_time, late) = (later(3_600_000), later(3_601_000));
    assert!(key().open(owner, &pid, None, in_time).is_ok());
    let claim = key().open(owner, &pid, None, late);
    assert_eq!(claim, Err(BadClaim::Expired));

    let offset = key().offset(owner, beginning.tag, &places(&beginning), in_time);

    assert!(key().open(owner, &pid, Some(&offset), late).is_ok());
}

#[test]
fn a_patient_pays_little() {
    let (owner, beginning) = (owner("a", "ann"), beginning(1));
    let mut places = places(&beginning);
    places.join(conversation(0)).unwrap();
    queue(&mut places, conversation(0), 8);

    let offset = key().offset(owner, beginning.tag, &places, NOW);

    assert_eq!(offset.len(), 26);
}

#[test]
fn a_session_that_grew_too_much_is_given_up() {
    let (owner, beginning) = (owner("a", "ann"), beginning(MAX_LISTED));
    let mut places = places(&beginning);
    for n in 0..200 {
        places.join(conversation(n)).unwrap();
    }
    let pid = key().pid(owner, &beginning);
    assert!(pid.len() < MAX_TEXT);

    let offset = key().offset(owner, beginning.tag, &places, NOW);

    let claim = key().open(owner, &pid, Some(&offset), NOW);
    assert_eq!(claim, Err(BadClaim::GivenUp));
}

#[test]
fn the_socket_id_is_the_sessions() {
    let (owner, tag) = (owner("a", "ann"), SessionTag::random());

    let id = key().socket_id(owner, tag);

    assert_eq!(id, key().socket_id(owner, tag));
    assert_ne!(id, key().socket_id(owner, SessionTag::random()));
}

#[test]
fn no_character_can_be_changed_nor_left_out() {
    let (owner, beginning) = (owner("a", "ann"), beginning(2));
    let mut places = places(&beginning);
    queue(&mut places, conversation(1), 8);
    let pid = key().pid(owner, &beginning);
    let offset = key().offset(owner, beginning.tag, &places, NOW);
    let forgeries = |text: &str| {
        let swapped = (0..text.len()).map(|at| {
            let other = if text.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            let mut forged = text.to_owned();
            forged.replace_range(at..=at, other);
            forged
        });
        let cut = (0..text.len()).map(|at| text[..at].to_owned());
        swapped.chain(cut).collect::<Vec<_>>()
    };

    for forged in forgeries(&pid) {
        assert!(key().open(owner, &forged, None, NOW).is_err(), "{forged}");
    }
    for forged in forgeries(&offset) {
        let claim = key().open(owner, &pid, Some(&forged), NOW);
        assert!(claim.is_err(), "{forged}");
    }
}

proptest! {
    #[test]
    fn any_text_is_borne(pid in "\\PC{0,80}", offset in "[A-Za-z0-9_-]{0,120}") {
        let owner = owner("a", "ann");
        let own = key().pid(owner, &beginning(3));

        prop_assert!(key().open(owner, &pid, Some(&offset), NOW).is_err());
        prop_assert!(key().open(owner, &own, Some(&offset), NOW).is_err());
    }

    #[test]
    fn what_is_written_is_read(
        listed in prop::collection::vec(any::<u32>(), 0..64),
        since in prop::option::of(0_i64..4_000_000_000_000),
        steps in prop::collection::vec((0_usize..80, 0_u8..3, any::<u32>()), 0..30),
    ) {
        let owner = owner("a", "ann");
        let listed = listed.into_iter().enumerate();
        let beginning = Beginning {
            since: since.map(Timestamp),
            listed: listed.map(|(n, seq)| (conversation(n), Seq(seq.into()))).collect(),
            ..beginning(0)
        };
        let mut places = places(&beginning);
        for (n, step, seq) in steps {
            let id = conversation(n);
            match step {
                0 => places.join(id).unwrap(),
                1 => places.leave(id).unwrap(),
                _ => {
                    let _ = places.fill(id, (3, Seq(seq.into())), |_| crate::transport::Sent::Queued);
                }
            }
        }
        let pid = key().pid(owner, &beginning);
        let offset = key().offset(owner, beginning.tag, &places, NOW);

        let claim = key().open(owner, &pid, Some(&offset), NOW).unwrap();

        prop_assert_eq!(&claim.beginning, &beginning);
        let before = places.changes().unwrap().copied();
        let read = Places::new(3, true, claim.places);
        let after = read.changes().unwrap().copied();
        prop_assert_eq!(before.collect::<Vec<_>>(), after.collect::<Vec<_>>());
    }
}
