//! A database per test, copied from a migrated template.

use anyhow::{Context as _, bail};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

/// A database that is dropped with this value.
#[derive(Debug)]
pub struct Database {
    admin: String,
    name: String,
    url: String,
}

impl Database {
    /// Makes a database like `template`, which `migrate` fills when it does not exist yet.
    ///
    /// The template outlives the test run, so its name should change with the schema. `migrate` gets
    /// the address of an empty database.
    ///
    /// # Errors
    ///
    /// Returns what the server or `migrate` refused, or that `DATABASE_URL` is missing.
    pub async fn create<F, Fut>(template: &str, migrate: F) -> anyhow::Result<Self>
    where
        F: FnOnce(String) -> Fut,
        Fut: Future<Output = anyhow::Result<()>>,
    {
        let admin = std::env::var("DATABASE_URL")
            .context("DATABASE_URL is not set; `cargo xtask test` sets it")?;
        let mut connection = PgConnection::connect(&admin).await?;
        ensure_template(&mut connection, &admin, template, migrate).await?;

        let name = format!("test_{}", Uuid::new_v4().simple());
        execute(
            &mut connection,
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await?;
        connection.close().await?;
        Ok(Self {
            url: sibling(&admin, &name)?,
            admin,
            name,
        })
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn remove(admin: String, name: String) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&admin).await?;
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        execute(&mut connection, drop).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // The test's own runtime may be ending, and cannot be blocked.
        let cleaner = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(Self::remove(admin, name))
        });
        // What remains costs space in a cluster of tests, and no test its result.
        drop(cleaner.join());
    }
}

async fn ensure_template<F, Fut>(
    connection: &mut PgConnection,
    admin: &str,
    template: &str,
    migrate: F,
) -> anyhow::Result<()>
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    // Tests start together, in several processes; one makes the template.
    sqlx::query("SELECT pg_advisory_lock(hashtext($1))")
        .bind(template)
        .execute(&mut *connection)
        .await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(template)
            .fetch_one(&mut *connection)
            .await?;
    if !exists {
        // Under another name until it is whole.
        let draft = format!("{template}_draft");
        execute(
            connection,
            format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)"),
        )
        .await?;
        execute(connection, format!("CREATE DATABASE {draft}")).await?;
        migrate(sibling(admin, &draft)?).await?;
        let rename = format!("ALTER DATABASE {draft} RENAME TO {template}");
        execute(connection, rename).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock(hashtext($1))")
        .bind(template)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Executes a statement whose names are ours.
async fn execute(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::query(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns the address of another database on the same server.
fn sibling(url: &str, name: &str) -> anyhow::Result<String> {
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url, String::new()),
    };
    let Some((scheme, rest)) = address.split_once("://") else {
        bail!("DATABASE_URL is no address");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    Ok(format!("{scheme}://{authority}/{name}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_keep_everything_but_the_name() {
        for (url, sibling_url) in [
            ("postgres://u:p@h:1/a", "postgres://u:p@h:1/b"),
            ("postgres://h", "postgres://h/b"),
            ("postgres:///a?host=/run", "postgres:///b?host=/run"),
        ] {
            assert_eq!(sibling(url, "b").unwrap(), sibling_url);
        }
    }
}
