//! Holds what operates the services against the services: docker-compose.yml, k8s, the load balancer,
//! metrics, dashboards and alerts name ports, variables, paths and metrics of the code, and nothing but
//! these tests would notice that one of them was renamed. SECURITY.md is held to the tests that it names,
//! and the crates that we build on to deny.toml.
//!
//! The files are read as their own programs read them (`cargo xtask ops` fetches those), so no engine
//! and no cluster is needed. What a container does when it runs is not seen.

#[cfg(test)]
mod compose;
#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod program;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod security;
#[cfg(test)]
mod tools;
