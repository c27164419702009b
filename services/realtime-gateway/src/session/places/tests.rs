use uuid::Uuid;

use super::*;

const EPOCH: u64 = 1;
const HERE: usize = 1;

fn conversation(n: usize) -> ConversationId {
    ConversationId(Uuid::from_u128(n as u128))
}

/// Places of a socket that has everything of [`HERE`] up to 5.
fn places() -> Places {
    Places::new(EPOCH, true, [Place::listed(conversation(HERE), Seq(5), 0)])
}

fn offer(places: &mut Places, seq: u64, sent: Sent) -> Offered {
    places.offer(conversation(HERE), (EPOCH, Seq(seq)), |_| sent)
}

fn fill(places: &mut Places, seq: u64, sent: Sent) -> Offered {
    places.fill(conversation(HERE), (EPOCH, Seq(seq)), |_| sent)
}

fn after(places: &Places) -> Option<Seq> {
    places.find(conversation(HERE)).and_then(Place::after)
}

#[test]
fn one_conversation_costs_little() {
    assert!(size_of::<Places>() <= 72, "{}", size_of::<Places>());
    assert!(!places().known.spilled());
}

#[test]
fn only_the_next_message_is_queued() {
    let mut places = places();

    assert_eq!(offer(&mut places, 5, Sent::Queued), Offered::Unneeded);
    assert_eq!(offer(&mut places, 6, Sent::Queued), Offered::Queued);
    assert_eq!(offer(&mut places, 6, Sent::Queued), Offered::Unneeded);
    let behind = Offered::Behind { first: true };
    assert_eq!(offer(&mut places, 8, Sent::Queued), behind);
    assert_eq!(after(&places), Some(Seq(6)));
}

#[test]
fn an_offset_tells_of_the_message_that_it_goes_with() {
    let mut places = places();
    let mut told = None;

    places.offer(conversation(HERE), (EPOCH, Seq(6)), |places| {
        told = after(places);
        Sent::Queued
    });

    assert_eq!(told, Some(Seq(6)));
}

#[test]
fn a_client_that_is_behind_is_sent_what_is_fetched_until_it_caught_up() {
    let mut places = places();
    assert_eq!(
        offer(&mut places, 6, Sent::Full),
        Offered::Behind { first: true }
    );
    assert_eq!(
        offer(&mut places, 7, Sent::Queued),
        Offered::Behind { first: false }
    );
    assert!(places.awaits(conversation(HERE), Seq(7)));

    assert_eq!(places.missing(), Some((conversation(HERE), Seq(5))));
    assert_eq!(fill(&mut places, 6, Sent::Queued), Offered::Queued);
    assert_eq!(places.missing(), Some((conversation(HERE), Seq(6))));
    assert_eq!(fill(&mut places, 7, Sent::Queued), Offered::Queued);

    assert_eq!(places.missing(), None);
    assert!(!places.is_behind());
    assert_eq!(offer(&mut places, 8, Sent::Queued), Offered::Queued);
}

#[test]
fn what_comes_while_somebody_fetches_needs_nobody_else() {
    let mut places = places();
    offer(&mut places, 7, Sent::Queued);
    fill(&mut places, 6, Sent::Queued);
    fill(&mut places, 7, Sent::Queued);

    // Nothing is missing, and who fetched has not looked yet.
    let offered = offer(&mut places, 9, Sent::Queued);

    assert_eq!(offered, Offered::Behind { first: false });
    assert_eq!(places.missing(), Some((conversation(HERE), Seq(7))));
}

#[test]
fn what_the_store_left_out_is_passed_over() {
    let mut places = places();
    offer(&mut places, 9, Sent::Queued);

    assert_eq!(fill(&mut places, 8, Sent::Queued), Offered::Queued);
    assert_eq!(fill(&mut places, 9, Sent::Queued), Offered::Queued);

    assert_eq!(places.missing(), None);
}

#[test]
fn places_that_do_not_exist_are_given_up() {
    let mut places = places();
    offer(&mut places, 1_000, Sent::Queued);

    places.give_up(conversation(HERE));

    assert_eq!(places.missing(), None);
    assert_eq!(offer(&mut places, 1_001, Sent::Queued), Offered::Queued);
}

#[test]
fn a_socket_that_is_gone_stays_where_it_was() {
    let mut places = places();

    assert_eq!(offer(&mut places, 6, Sent::Closed), Offered::Closed);

    assert_eq!(after(&places), Some(Seq(5)));
}

#[test]
fn of_a_conversation_that_began_later_everything_is_news() {
    let mut places = places();
    let new = conversation(2);

    let offered = places.offer(new, (EPOCH, Seq(2)), |_| Sent::Queued);

    assert_eq!(offered, Offered::Behind { first: true });
    assert_eq!(places.missing(), Some((new, Seq(0))));
}

#[test]
fn of_a_conversation_that_nobody_knew_of_what_comes_is_the_beginning() {
    let mut places = Places::new(EPOCH, false, []);

    assert!(!places.observe(conversation(HERE), EPOCH, Seq(3)));
    assert_eq!(offer(&mut places, 4, Sent::Queued), Offered::Queued);
    assert!(places.observe(conversation(HERE), EPOCH, Seq(5)));
}

#[test]
fn what_was_said_in_a_room_that_was_left_is_never_told() {
    let mut places = places();
    offer(&mut places, 7, Sent::Queued);

    places.leave(conversation(HERE)).unwrap();
    assert_eq!(places.missing(), None);
    assert_eq!(offer(&mut places, 8, Sent::Queued), Offered::Unneeded);
    assert!(!places.observe(conversation(HERE), EPOCH, Seq(9)));
    places.join(conversation(HERE)).unwrap();

    assert_eq!(offer(&mut places, 10, Sent::Queued), Offered::Queued);
}

#[test]
fn only_a_joined_room_has_it_all_and_a_left_one_nothing() {
    let mut places = Places::default();
    let id = conversation(HERE);
    assert!(places.hears(id) && !places.is_joined(id));

    places.join(id).unwrap();
    assert!(places.hears(id) && places.is_joined(id));

    places.leave(id).unwrap();
    assert!(!places.hears(id) && !places.is_joined(id));

    places.join(id).unwrap();
    assert!(places.hears(id) && places.is_joined(id));
}

#[test]
fn rooms_are_bounded() {
    let mut places = Places::default();
    for n in 0..MAX_ROOMS {
        places.join(conversation(n)).unwrap();
    }

    assert!(places.leave(conversation(MAX_ROOMS)).is_err());
    assert!(places.leave(conversation(0)).is_ok());
}

#[test]
fn a_new_generation_of_numbers_ends_what_can_be_come_back_to() {
    let mut places = places();
    assert!(places.changes().is_some());
    let in_epoch = |places: &mut Places, epoch, seq| {
        places.offer(conversation(HERE), (epoch, Seq(seq)), |_| Sent::Queued)
    };

    // The trackers know what is new in it.
    assert_eq!(in_epoch(&mut places, 2, 4), Offered::Queued);

    assert!(places.changes().is_none());
    assert_eq!(in_epoch(&mut places, 2, 5), Offered::Queued);
    assert_eq!(in_epoch(&mut places, EPOCH, 6), Offered::Unneeded);
}

#[test]
fn a_socket_that_is_behind_in_a_new_generation_has_to_begin_anew() {
    let mut places = places();
    offer(&mut places, 7, Sent::Queued);

    let offered = places.offer(conversation(HERE), (2, Seq(8)), |_| Sent::Queued);

    assert_eq!(offered, Offered::Lost);
}
