//! Two releases side by side: one starts with the schema of the other.

use chat_store::pg::Pg;
use sqlx::{Connection as _, PgConnection};
use test_kit::postgres::Database;

#[tokio::test]
async fn a_release_starts_with_the_schema_of_the_next() {
    let nothing = async |_| Ok(());
    let database = Database::create("chat_store_empty", nothing).await.unwrap();
    let pg = Pg::connect(database.url(), 1).await.unwrap();
    pg.migrate().await.unwrap();

    let mut next = PgConnection::connect(database.url()).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99991231000000, 'of the next release', true, '', 0)",
    )
    .execute(&mut next)
    .await
    .unwrap();

    pg.migrate().await.unwrap();
}
