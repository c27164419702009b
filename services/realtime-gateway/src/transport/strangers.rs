//! Clients that are in a namespace and have not said who they are. They have no socket: nothing can be
//! sent to them but answers, and nothing they send is heard but that.

use std::sync::Arc;

use socketio_protocol::connection::NamespaceId;

use super::{
    Application, Class, ConnectRequest, Event, Link as _, Socket, SocketId, connection::Connection,
};

/// How many events of a stranger are answered before it has to leave.
const MAX_REFUSED: u8 = 8;

/// One of them.
struct Stranger {
    id: NamespaceId,
    socket_id: SocketId,
    request: Arc<ConnectRequest>,
    n_refused: u8,
}

/// Those of one connection.
#[derive(Default)]
pub(super) struct Strangers(Vec<Stranger>);

impl Strangers {
    pub(super) fn has(&self, id: NamespaceId) -> bool {
        self.0.iter().any(|stranger| stranger.id == id)
    }

    /// Forgets one.
    pub(super) fn remove(&mut self, id: NamespaceId) {
        self.take(id);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    fn take(&mut self, id: NamespaceId) -> Option<Stranger> {
        let i = self.0.iter().position(|stranger| stranger.id == id)?;
        Some(self.0.swap_remove(i))
    }

    fn find(&mut self, id: NamespaceId) -> Option<&mut Stranger> {
        self.0.iter_mut().find(|stranger| stranger.id == id)
    }
}

/// Lets a client in as a stranger.
pub(super) fn welcome<A: Application>(
    connection: &Connection<A>,
    id: NamespaceId,
    request: ConnectRequest,
) {
    let socket_id = SocketId::random();
    let is_accepted =
        connection.with(|protocol, sink| protocol.accept(id, socket_id.as_str(), None, sink));
    if is_accepted {
        let stranger = Stranger {
            id,
            socket_id,
            request: Arc::new(request),
            n_refused: 0,
        };
        connection.change(|state| state.strangers.0.push(stranger));
    }
}

/// Hears an event of a stranger, who has a socket afterwards if that says who it is.
pub(super) async fn hear<A: Application>(
    connection: &Arc<Connection<A>>,
    id: NamespaceId,
    event: Event,
) {
    let application = &connection.server.application;
    let request = |stranger: &mut Stranger| Arc::clone(&stranger.request);
    let Some(request) = connection.change(|state| state.strangers.find(id).map(request)) else {
        return;
    };
    match application.identify(&request, &event).await {
        Ok(session) => {
            let Some(stranger) = connection.change(|state| state.strangers.take(id)) else {
                return;
            };
            let socket = Socket::new(
                request.socket_number,
                stranger.socket_id,
                Arc::clone(&request.namespace),
                Arc::clone(connection) as Arc<dyn super::Link>,
                session,
            );
            connection.change(|state| state.sockets.push(socket.clone()));
            application.connected(&socket);
            application.events(vec![(socket, event)]).await;
        }
        Err(answer) => {
            connection.send(request.socket_number, &answer, Class::Message);
            let is_patient = connection.change(|state| {
                let Some(stranger) = state.strangers.find(id) else {
                    return true;
                };
                stranger.n_refused += 1;
                stranger.n_refused < MAX_REFUSED
            });
            if !is_patient {
                connection.disconnect(request.socket_number);
            }
        }
    }
}
