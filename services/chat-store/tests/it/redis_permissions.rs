//! What the stores' user of Redis may do: deploy/redis/store.acl.

use std::sync::Arc;

use chat_domain::call::{DeviceId, GatewayId};
use chat_domain::{Role, Status};
use chat_store::{
    ports_calls::CallState as _, ports_presence::PresenceState as _, redis::RedisState,
};
use redis::{Connection, Value};
use test_kit::redis::Namespace;

use crate::world::World;

const RULES: &str = include_str!("../../../../deploy/redis/store.acl");

/// A user of these rules, as long as the value is there.
struct Login {
    namespace: Namespace,
    url: String,
    name: String,
}

impl Login {
    fn new() -> Self {
        let namespace = Namespace::new().unwrap();
        let name = format!("store-{}", namespace.name());
        let mut set = redis::cmd("ACL");
        set.arg(&["SETUSER", &name, "on", ">x"]);
        set.arg(RULES.split_whitespace().collect::<Vec<_>>());
        let mut admin = namespace.connection().unwrap();
        let _done: Value = set.query(&mut admin).unwrap();
        let (_, place) = namespace.url().split_once("://").unwrap();
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        Self {
            url: format!("redis://{name}:x@{place}"),
            namespace,
            name,
        }
    }

    fn connection(&self) -> Connection {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        client.get_connection().unwrap()
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let mut admin = self.namespace.connection().unwrap();
        let mut remove = redis::cmd("ACL");
        let _done: Value = remove
            .arg(&["DELUSER", &self.name])
            .query(&mut admin)
            .unwrap();
    }
}

fn run(connection: &mut Connection, line: &str) -> redis::RedisResult<Value> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection)
}

#[test]
fn nothing_is_emptied_asked_or_set_that_is_not_of_calls() {
    let login = Login::new();
    let mut connection = login.connection();

    for line in [
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET *",
        "CONFIG SET maxmemory 1",
        "KEYS *",
        "EVAL return(1) 0",
        "FUNCTION FLUSH",
        "FUNCTION DELETE chat",
        "SCRIPT FLUSH",
        "ACL LIST",
        "ACL SETUSER me on",
        "CLIENT LIST",
        "SHUTDOWN",
        "REPLICAOF 127.0.0.1 1",
        "MONITOR",
        "GET another-services-key",
        "SET another-services-key 1",
        "DEL another-services-key",
        "PUBLISH channel x",
    ] {
        let outcome = run(&mut connection, line);
        let code = outcome.as_ref().err().and_then(redis::RedisError::code);
        assert_eq!(code, Some("NOPERM"), "{line}: {outcome:?}");
    }
}

#[tokio::test]
async fn presence_and_the_logs_work_with_it() {
    let login = Login::new();
    let world = World::new().await;
    let pg = Arc::new(world.pg_of(1).await);
    let name = login.namespace.name().to_owned();
    let state = RedisState::new(login.url.as_str(), &name, pg).unwrap();
    let user = world.caller(Role::Patient).user.id;
    let device = DeviceId {
        gateway: GatewayId(7),
        socket: 1,
    };

    state.come(&world.id, &user, device, false).await.unwrap();
    state.choose(&world.id, &user, Status::Away).await.unwrap();
    let told = state
        .presence_of(&world.id, std::slice::from_ref(&user))
        .await
        .unwrap();
    state.lag().await.unwrap();
    let mut connection = login.connection();
    let log = format!("{{calls{name}}}:a-log");
    for line in [
        format!("XGROUP CREATE {log} g 0 MKSTREAM"),
        format!("XADD {log} * a b"),
        format!("XREADGROUP GROUP g c COUNT 1 STREAMS {log} >"),
        format!("XAUTOCLAIM {log} g c 0 0-0"),
        "MULTI".to_owned(),
        format!("XACK {log} g 0-1"),
        format!("XDEL {log} 0-1"),
        "EXEC".to_owned(),
        format!("HSCAN {{calls{name}}}:a-hash 0"),
    ] {
        run(&mut connection, &line).unwrap();
    }

    assert_eq!(told.len(), 1);
}
