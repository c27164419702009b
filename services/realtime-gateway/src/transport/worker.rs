//! Hands what one client sent to the application, one thing after the other. There is a task only
//! while there is something to hand over: an idle connection has none.

use std::sync::Arc;

use socketio_protocol::connection::NamespaceId;

use super::{
    Accepted, AfterRefusal, Application, ConnectRequest, Event, Reason, Refused, Socket,
    connection::{Connection, State, Worker},
    inbox::Item,
    strangers,
};

/// What is handed over next.
enum Next<S> {
    Connect(NamespaceId, ConnectRequest),
    Events(Vec<(Socket<S>, Event)>),
    OfStranger(NamespaceId, Event),
    Gone(Socket<S>, Reason),
    Nothing,
}

/// Works until there is nothing left.
pub(super) async fn run<A: Application>(connection: Arc<Connection<A>>) {
    let application = &connection.server.application;
    let guard = Guard(&*connection);
    loop {
        match connection.change(|state| next(&connection, state)) {
            Next::Connect(id, request) => {
                if !application.has_namespace(&request.namespace) {
                    connection.with(|protocol, sink| {
                        protocol.refuse(id, "Invalid namespace", None, sink);
                    });
                } else if application.takes_strangers(&request) {
                    strangers::welcome(&connection, id, request);
                } else {
                    connect(&connection, id, request).await;
                }
            }
            Next::OfStranger(id, event) => strangers::hear(&connection, id, event).await,
            Next::Events(batch) => application.events(batch).await,
            Next::Gone(socket, reason) => application.disconnected(&socket, reason),
            Next::Nothing => break,
        }
    }
    std::mem::forget(guard);
}

async fn connect<A: Application>(
    connection: &Arc<Connection<A>>,
    id: NamespaceId,
    request: ConnectRequest,
) {
    let application = &connection.server.application;
    let number = request.socket_number;
    let namespace = Arc::clone(&request.namespace);

    let Accepted {
        session,
        id: socket_id,
        pid,
    } = match application.connect(request).await {
        Ok(accepted) => accepted,
        Err(refused) => return refuse(connection, id, &refused),
    };

    let is_accepted = connection
        .with(|protocol, sink| protocol.accept(id, socket_id.as_str(), pid.as_deref(), sink));
    if is_accepted {
        let link = Arc::clone(connection) as Arc<dyn super::Link>;
        let socket = Socket::new(number, socket_id, namespace, link, session);
        connection.change(|state| state.sockets.push(socket.clone()));
        application.connected(&socket);
    }
}

/// A client that asked for namespaces so often on one connection, and was refused, has to go.
const MAX_STAYS: u16 = 64;

fn refuse<A: Application>(connection: &Connection<A>, id: NamespaceId, refused: &Refused) {
    let data = refused.data.as_ref().map(ToString::to_string);
    connection.with(|protocol, sink| {
        protocol.refuse(id, &refused.message, data.as_deref(), sink);
    });
    match refused.then {
        AfterRefusal::KeepTransport if MAX_STAYS <= id.get() => connection.close(Reason::Flood),
        AfterRefusal::KeepTransport => {}
        AfterRefusal::CloseTransport => connection.close(Reason::Kicked),
    }
}

/// Takes the next thing, and all events that directly follow an event.
fn next<A: Application>(
    connection: &Connection<A>,
    state: &mut State<A::Session>,
) -> Next<A::Session> {
    loop {
        match state.inbox.pop() {
            Some(Item::Connect {
                id,
                namespace,
                auth,
            }) => {
                let socket_number = connection.socket_number(id);
                let handshake = Arc::clone(&connection.handshake);
                let request = ConnectRequest {
                    socket_number,
                    namespace,
                    auth,
                    handshake,
                };
                return Next::Connect(id, request);
            }
            Some(Item::Event(id, event)) if state.strangers.has(id) => {
                return Next::OfStranger(id, event);
            }
            Some(Item::Event(id, event)) => {
                let mut batch = Vec::new();
                batch.extend(socket(connection, state, id).map(|socket| (socket, event)));
                let strangers = &state.strangers;
                let is_next =
                    |item: &Item| matches!(item, Item::Event(id, _) if !strangers.has(*id));
                while let Some(Item::Event(id, event)) = state.inbox.pop_if(is_next) {
                    batch.extend(socket(connection, state, id).map(|socket| (socket, event)));
                }
                if !batch.is_empty() {
                    return Next::Events(batch);
                }
            }
            Some(Item::Left(id)) => {
                state.strangers.remove(id);
                if let Some(socket) = take(connection, state, id) {
                    return Next::Gone(socket, Reason::ClientDisconnect);
                }
            }
            Some(Item::Removed(id)) => {
                state.strangers.remove(id);
                if let Some(socket) = take(connection, state, id) {
                    return Next::Gone(socket, Reason::ServerDisconnect);
                }
            }
            // The last item, once all sockets are gone.
            Some(Item::Closed) => {
                state.strangers.clear();
                if let (Some(socket), Some(reason)) = (state.sockets.pop(), state.closed()) {
                    state.inbox.push(Item::Closed);
                    return Next::Gone(socket, reason);
                }
            }
            None => {
                state.worker = Worker::Idle;
                state.close_if_drained();
                return Next::Nothing;
            }
        }
    }
}

fn socket<A: Application>(
    connection: &Connection<A>,
    state: &State<A::Session>,
    id: NamespaceId,
) -> Option<Socket<A::Session>> {
    let number = connection.socket_number(id);
    state
        .sockets
        .iter()
        .find(|socket| socket.number() == number)
        .cloned()
}

fn take<A: Application>(
    connection: &Connection<A>,
    state: &mut State<A::Session>,
    id: NamespaceId,
) -> Option<Socket<A::Session>> {
    let number = connection.socket_number(id);
    let i = state
        .sockets
        .iter()
        .position(|socket| socket.number() == number)?;
    Some(state.sockets.remove(i))
}

/// Sees to it that a panic of the application ends its connection, and not only the task.
struct Guard<'a, A: Application>(&'a Connection<A>);

impl<A: Application> Drop for Guard<'_, A> {
    fn drop(&mut self) {
        self.0.close(Reason::InternalError);
        // What is left, the end of the sockets above all, goes to a new worker.
        self.0.change(|state| state.worker = Worker::Idle);
    }
}
