//! Bringing the schema up to date while the server has troubles of its own.

use chat_domain::ErrorKind;
use test_kit::eventually;

use crate::world::World;

#[tokio::test]
async fn a_migration_that_is_cut_off_may_be_tried_again() {
    let world = World::new().await;
    let pg = world.pg_of(1).await;
    let sql = world.sql().await;
    let mut turn = sql.begin().await.unwrap();
    sqlx::query("LOCK TABLE _sqlx_migrations")
        .execute(&mut *turn)
        .await
        .unwrap();

    let migrating = tokio::spawn({
        let pg = pg.clone();
        async move { pg.migrate().await }
    });
    eventually("the migration waits and is cut off", async || {
        let ended: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_all(&sql)
        .await
        .unwrap();
        (!ended.is_empty()).then_some(())
    })
    .await;
    let cut_off = migrating.await.unwrap().unwrap_err();
    turn.rollback().await.unwrap();

    assert_eq!(cut_off.kind(), ErrorKind::Unavailable);
    pg.migrate().await.unwrap();
}
