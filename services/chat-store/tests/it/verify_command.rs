//! `chat-store verify-audit`, as an operator runs it; `cargo xtask audit verify` does the same.

use std::process::{Command, Output};

use chat_store::{
    pg::Pg,
    ports_audit::{Access, Action, AuditLog as _, Head},
};

use crate::world::World;

fn verify(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = Command::new(env!("CARGO_BIN_EXE_chat-store"))
        .arg("verify-audit")
        .args(arguments)
        .env("DATABASE_URL", world.url())
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

async fn read(world: &World, pg: &Pg) -> Head {
    let access = Access::new(&world.id, "ada", Action::Read);
    let link = pg.record(&[access]).await.unwrap()[0];
    let app = world.id.clone();
    Head { app, link }
}

#[tokio::test]
async fn a_log_as_it_was_written_ends_with_0_and_says_its_head() {
    let world = World::new().await;
    let pg = world.pg_of(1).await;
    let (first, last) = (read(&world, &pg).await, read(&world, &pg).await);

    let all = verify(&world, &[]);
    let known = verify(&world, &["--known", &format!("{first},{last}")]);

    let said = format!("{}: 2 rows as they were written; head {last}\n", world.id);
    assert_eq!(all, (Some(0), said));
    assert_eq!(known, all);
}

#[tokio::test]
async fn a_log_that_was_changed_ends_with_1_and_says_where() {
    let world = World::new().await;
    let pg = world.pg_of(1).await;
    for _ in 0..3 {
        read(&world, &pg).await;
    }
    let sql = world.sql().await;
    let change = "UPDATE audit_log SET actor = 'x' WHERE place = 2";
    sqlx::raw_sql(change).execute(&sql).await.unwrap();

    let changed = verify(&world, &[]);

    let said = format!("{}: row 2 is not the one that was written\n", world.id);
    assert_eq!(changed, (Some(1), said));
}
