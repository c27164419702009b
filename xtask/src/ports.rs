//! Free ports on loopback.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result, bail};

/// Below the range that systems take for outgoing connections: a port found free stays free until
/// its server binds it, however many sockets a load test opens meanwhile.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Hands out ports that are free now and differ from each other.
#[derive(Debug)]
pub(crate) struct Ports {
    next: u16,
}

impl Ports {
    /// Starts at a place that depends on the process, so that two runs rarely meet.
    pub(crate) fn new() -> Self {
        let spread = u32::from(RANGE.end - RANGE.start);
        let offset = std::process::id().wrapping_mul(37) % spread;
        Self {
            next: RANGE.start + u16::try_from(offset).unwrap_or_default(),
        }
    }

    /// Returns the next free port.
    ///
    /// # Errors
    ///
    /// When the whole range is in use.
    pub(crate) fn take(&mut self) -> Result<u16> {
        for _ in RANGE {
            let port = self.next;
            self.next += 1;
            if !RANGE.contains(&self.next) {
                self.next = RANGE.start;
            }
            if is_free(port) {
                return Ok(port);
            }
        }
        bail!("no port from {} to {} is free", RANGE.start, RANGE.end);
    }
}

/// Returns the loopback addresses on which `port` can be served: IPv4, and IPv6 where it exists.
///
/// # Errors
///
/// When something else listens there.
pub(crate) fn public(port: u16) -> Result<Vec<SocketAddr>> {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(v4).with_context(|| {
        format!("port {port} is in use; stop what listens there or choose another with --port")
    })?;
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let mut addresses = vec![v4];
    match TcpListener::bind(v6) {
        Ok(_) => addresses.push(v6),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {port} is in use on [::1]; stop what listens there or choose another with --port"
        ),
        Err(_) => {} // No IPv6 on this machine.
    }
    Ok(addresses)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_avoid_what_is_taken() {
        let mut ports = Ports::new();
        let first = ports.take().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.next)).unwrap();

        let second = ports.take().unwrap();

        assert_ne!(first, second);
        assert_ne!(second, taken.local_addr().unwrap().port());
    }

    #[test]
    fn a_port_in_use_is_named_with_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();

        let error = public(port).unwrap_err().to_string();

        assert!(
            error.contains(&port.to_string()) && error.contains("--port"),
            "{error}"
        );
    }
}
