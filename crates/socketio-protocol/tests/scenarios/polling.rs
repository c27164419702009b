//! Requests that wait, and the way from polling to websocket.

use std::time::Duration;

use socketio_protocol::{
    CloseReason,
    connection::PollAnswer,
    engine::{QueryError, Transport},
};

use super::{NOTHING, Scenario};

#[test]
fn a_get_waits_for_packets() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();

    assert_eq!(polling.connection.answer_get(false), None);
    assert_eq!(
        polling.connection.answer_get(true),
        Some(PollAnswer::Queued)
    );
    assert_eq!(polling.connection.answer_get(true), None, "nobody waits");
}

#[test]
fn a_second_get_ends_the_connection() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();

    assert_eq!(polling.get(), Err(QueryError::BadRequest));

    assert_eq!(polling.done(), ["closed: transport error"]);
    assert_eq!(
        polling.connection.answer_get(false),
        Some(PollAnswer::Close)
    );
    assert_eq!(polling.get(), Err(QueryError::UnknownSid));
}

#[test]
fn a_second_post_ends_the_connection() {
    let mut polling = Scenario::new(Transport::Polling);
    polling
        .run(|connection, now, sink| connection.begin_post(now, sink))
        .unwrap();

    assert_eq!(polling.post("40"), Err(QueryError::BadRequest));

    assert_eq!(polling.done(), ["closed: transport error"]);
}

#[test]
fn a_get_that_is_given_up_ends_the_connection() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();

    polling.run(|connection, _, sink| connection.abort_get(sink));

    assert_eq!(polling.done(), ["closed: transport close"]);
}

#[test]
fn a_post_brings_packets_in_order() {
    let mut polling = Scenario::new(Transport::Polling);

    polling.post("40\x1e42[\"a\"]\x1e42[\"b\"]").unwrap();

    assert_eq!(
        polling.done(),
        ["connect 1 / ", "event 1 a() [] None", "event 1 b() [] None"]
    );
}

#[test]
fn a_post_that_is_no_payload_ends_the_connection() {
    let mut polling = Scenario::new(Transport::Polling);

    assert_eq!(polling.post("abc"), Err(QueryError::BadRequest));

    assert_eq!(polling.done(), ["closed: parse error"]);
}

#[test]
fn a_goodbye_by_post_answers_the_get_with_a_noop() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();

    polling.post("1").unwrap();

    assert_eq!(polling.done(), ["closed: transport close"]);
    assert_eq!(polling.connection.answer_get(true), Some(PollAnswer::Noop));
}

#[test]
fn a_late_get_finds_no_connection() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.pass(25_000);
    polling.now += Duration::from_secs(20);

    assert_eq!(polling.get(), Err(QueryError::UnknownSid));
}

#[test]
fn an_upgrade_lets_nothing_overtake_anything() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();
    polling.connection.begin_upgrade(polling.now).unwrap();

    assert_eq!(polling.connection.answer_get(false), None);
    assert_eq!(polling.probe("2probe"), ["answer probe"]);
    assert_eq!(polling.connection.answer_get(false), Some(PollAnswer::Noop));
    polling.get().unwrap();
    assert_eq!(
        polling.connection.answer_get(true),
        Some(PollAnswer::Queued)
    );
    assert_eq!(polling.probe("5"), ["upgraded"]);
    assert_eq!(polling.get(), Err(QueryError::BadRequest));
    assert_eq!(polling.text("40"), ["connect 1 / "]);
}

#[test]
fn a_get_that_waits_at_the_end_of_an_upgrade_takes_nothing_along() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.connection.begin_upgrade(polling.now).unwrap();
    polling.probe("2probe");
    polling.get().unwrap();

    polling.probe("5");

    assert_eq!(polling.connection.answer_get(true), Some(PollAnswer::Noop));
}

#[test]
fn an_unfit_probe_is_dropped_and_polling_goes_on() {
    let unfit: [&[&str]; 5] = [
        &["5"],
        &["2"],
        &["2probe", "2probe"],
        &["2probe", "40"],
        &["x"],
    ];
    for messages in unfit {
        let mut polling = Scenario::new(Transport::Polling);
        polling.connection.begin_upgrade(polling.now).unwrap();

        let done = messages
            .iter()
            .flat_map(|text| polling.probe(text))
            .collect::<Vec<_>>();

        assert_eq!(done.last().unwrap(), "drop probe", "{messages:?}");
        assert_eq!(polling.get(), Ok(()));
        assert_eq!(polling.connection.begin_upgrade(polling.now), Ok(()));
    }
}

#[test]
fn a_probe_has_ten_seconds() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.connection.begin_upgrade(polling.now).unwrap();
    polling.probe("2probe");

    assert_eq!(polling.pass(10_000), ["drop probe"]);
    assert_eq!(polling.probe("5"), NOTHING);
}

#[test]
fn a_second_upgrade_is_refused_and_harms_nobody() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.connection.begin_upgrade(polling.now).unwrap();

    assert_eq!(
        polling.connection.begin_upgrade(polling.now),
        Err(QueryError::BadRequest)
    );

    assert_eq!(polling.probe("2probe"), ["answer probe"]);
    assert_eq!(polling.probe("5"), ["upgraded"]);
}

#[test]
fn a_close_takes_the_probe_along() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.connection.begin_upgrade(polling.now).unwrap();

    polling.run(|connection, _, sink| connection.close(CloseReason::ForcedServerClose, sink));

    assert_eq!(
        polling.done(),
        ["drop probe", "closed: forced server close"]
    );
}
