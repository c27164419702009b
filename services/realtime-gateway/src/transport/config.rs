//! What can be set of the transports. Reads no environment; the service does.

use std::{net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use socketio_protocol::connection;
use tokio_rustls::TlsAcceptor;

use super::{OutboxLimits, Pages, SidKey};
use crate::peers::Peers;

/// The settings of a [`Server`](super::Server).
pub struct Config {
    /// Where connections are served, and what is spoken there.
    pub paths: Vec<(String, connection::Layer)>,
    /// Times and sizes of a connection. The layer is that of the path.
    pub protocol: connection::Config,
    /// How much may wait for one client.
    pub outbox: OutboxLimits,
    /// How long a client may read nothing of what waits for it.
    pub stall_timeout: Duration,
    /// How long a request may take to arrive, head and body each.
    pub request_timeout: Duration,
    /// The most bytes of a request head.
    pub max_head: usize,
    /// The most TCP connections, whatever they are used for.
    pub max_connections: usize,
    /// The other gateways of the deployment, and the name that this one has among them.
    pub peers: Arc<Peers>,
    /// Makes the ids of sessions.
    pub sid_key: SidKey,
    /// The peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// What is served at all other paths.
    pub pages: Pages,
    /// Greets clients, where no load balancer ends TLS.
    pub tls: Option<TlsAcceptor>,
}

impl Default for Config {
    /// Returns the settings of production, but for a gateway that is alone.
    fn default() -> Self {
        Self {
            paths: vec![
                ("/socket.io/".to_owned(), connection::Layer::SocketIo),
                ("/ws".to_owned(), connection::Layer::Plain),
            ],
            protocol: connection::Config::default(),
            outbox: OutboxLimits {
                soft: 256 * 1024,
                hard: 1024 * 1024,
            },
            stall_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
            max_head: 16 * 1024,
            max_connections: 100_000,
            peers: Peers::new("local", 0),
            sid_key: SidKey::generate(),
            trusted_proxies: vec![Network::LOOPBACK_V4, Network::LOOPBACK_V6],
            pages: Pages::default(),
            tls: None,
        }
    }
}

/// A range of addresses: `10.0.0.0/8`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// As an IPv6 address, to which IPv4 ones are mapped.
    bits: u128,
    mask: u128,
}

impl Network {
    /// `127.0.0.0/8`.
    pub const LOOPBACK_V4: Self = Self {
        bits: 0xFFFF_7F00_0000,
        mask: u128::MAX << 24,
    };
    /// `::1`.
    pub const LOOPBACK_V6: Self = Self {
        bits: 1,
        mask: u128::MAX,
    };

    /// Whether `address` is in the range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.bits
    }
}

/// Text that is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address, nor an address and a prefix length")]
pub struct InvalidNetwork;

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| InvalidNetwork)?,
            None => width,
        };
        let n_free = width.checked_sub(prefix).ok_or(InvalidNetwork)?;
        let mask = u128::MAX.checked_shl(n_free).unwrap_or(0);
        Ok(Self {
            bits: bits(address) & mask,
            mask,
        })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_alone() {
        let network: Network = "10.1.0.0/16".parse().unwrap();

        assert!(network.contains("10.1.255.3".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        assert!(!network.contains("::1".parse().unwrap()));
    }

    #[test]
    fn loopback_is_what_it_is_elsewhere() {
        assert_eq!("127.0.0.0/8".parse(), Ok(Network::LOOPBACK_V4));
        assert_eq!("::1".parse(), Ok(Network::LOOPBACK_V6));
    }

    #[test]
    fn a_prefix_has_to_fit_its_address() {
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(InvalidNetwork));
        assert_eq!("::/129".parse::<Network>(), Err(InvalidNetwork));
    }
}
