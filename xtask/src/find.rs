//! Finds the programs that the system needs and that are not built here.
//!
//! Looks, in this order, at the program's environment variable, PATH, the folders where systems keep
//! servers, and what [`crate::fetch`] unpacked. Never installs anything.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::places::Places;

/// A program that is started but not built here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Postgres,
    Nats,
    Redis,
    Coturn,
    Haproxy,
    Node,
    Chromium,
}

impl Tool {
    /// What a database, a broker, a cache, a relay and a load balancer are, for `up`.
    pub(crate) const SERVERS: [Self; 5] = [
        Self::Postgres,
        Self::Nats,
        Self::Redis,
        Self::Coturn,
        Self::Haproxy,
    ];

    /// The name of the executable.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Nats => "nats-server",
            Self::Redis => "redis-server",
            Self::Coturn => "turnserver",
            Self::Haproxy => "haproxy",
            Self::Node => "node",
            Self::Chromium => "chromium-headless-shell",
        }
    }

    /// The variable that names the executable and overrules every other place.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "CHAT_POSTGRES",
            Self::Nats => "CHAT_NATS_SERVER",
            Self::Redis => "CHAT_REDIS_SERVER",
            Self::Coturn => "CHAT_TURNSERVER",
            Self::Haproxy => "CHAT_HAPROXY",
            Self::Node => "CHAT_NODE",
            Self::Chromium => "CHAT_CHROMIUM",
        }
    }

    /// The oldest version that will do.
    pub(crate) fn minimum(self) -> (u32, u32) {
        match self {
            Self::Postgres => (14, 0),
            Self::Nats => (2, 9),
            Self::Redis => (7, 0),
            Self::Coturn => (4, 6),
            Self::Haproxy => (2, 2),
            Self::Node => (18, 19),
            Self::Chromium => (120, 0),
        }
    }

    /// The Debian and Ubuntu packages that bring it.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["postgresql"],
            Self::Nats => &["nats-server"],
            Self::Redis => &["redis-server"],
            Self::Coturn => &["coturn"],
            Self::Haproxy => &["haproxy"],
            Self::Node => &["nodejs", "npm"],
            Self::Chromium => &["chromium-headless-shell"],
        }
    }

    /// The Homebrew formula that brings it.
    pub(crate) fn formula(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql@17",
            Self::Nats => "nats-server",
            Self::Redis => "redis",
            Self::Coturn => "coturn",
            Self::Haproxy => "haproxy",
            Self::Node => "node",
            Self::Chromium => "chromium",
        }
    }

    /// A program that must be in the same folder.
    fn needed_neighbour(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("initdb"),
            Self::Node => Some("npm"),
            Self::Nats | Self::Redis | Self::Coturn | Self::Haproxy | Self::Chromium => None,
        }
    }

    fn version_flag(self) -> &'static str {
        match self {
            Self::Haproxy => "-v",
            Self::Postgres
            | Self::Nats
            | Self::Redis
            | Self::Coturn
            | Self::Node
            | Self::Chromium => "--version",
        }
    }
}

/// An executable and what it needs to start.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The executable.
    pub(crate) path: PathBuf,
    /// `LD_LIBRARY_PATH` for programs that were unpacked rather than installed.
    pub(crate) libraries: Option<String>,
}

impl Program {
    /// A program in the same folder, such as `initdb` beside `postgres`.
    pub(crate) fn neighbour(&self, name: &str) -> Self {
        Self {
            path: self.path.with_file_name(name),
            libraries: self.libraries.clone(),
        }
    }

    /// Adds what the program needs to the environment of `command`.
    pub(crate) fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// A command that runs the program for a moment and is waited for at once.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        self.prepare(&mut command);
        command
    }
}

/// Finds `tool` in a version that will do.
pub(crate) fn find(tool: Tool, places: &Places) -> Option<Program> {
    if let Some(path) = std::env::var_os(tool.variable()) {
        return usable(tool, Path::new(&path), None);
    }
    system_folders(tool)
        .iter()
        .find_map(|folder| usable(tool, &folder.join(tool.program()), None))
        .or_else(|| find_fetched(tool, places))
}

/// The mark that `tool` and all its libraries are unpacked.
pub(crate) fn fetched_mark(tool: Tool, places: &Places) -> PathBuf {
    places.dev.join("fetched").join(tool.program())
}

/// Where Node.js is put when it is fetched.
pub(crate) fn fetched_node(places: &Places) -> PathBuf {
    places.dev.join("node")
}

fn find_fetched(tool: Tool, places: &Places) -> Option<Program> {
    if tool == Tool::Node {
        return usable(tool, &fetched_node(places).join("bin/node"), None);
    }
    fetched_mark(tool, places).exists().then_some(())?;
    let root = places.dev.join("root");
    let libraries = unpacked_libraries(&root);
    let mut folders = postgres_folders(&root.join("usr/lib/postgresql"));
    // What /usr/bin has of Chromium is a script that looks for it outside of `root`.
    folders.extend(["usr/sbin", "usr/bin", "usr/lib/chromium"].map(|folder| root.join(folder)));
    folders
        .iter()
        .find_map(|folder| usable(tool, &folder.join(tool.program()), Some(&libraries)))
}

fn system_folders(tool: Tool) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map(PathBuf::from));
    folders.extend(postgres_folders(Path::new("/usr/lib/postgresql")));
    for prefix in ["/opt/homebrew", "/usr/local"] {
        folders.push(Path::new(prefix).join("bin"));
        folders.push(
            Path::new(prefix)
                .join("opt")
                .join(tool.formula())
                .join("bin"),
        );
    }
    folders
}

/// `<base>/<major>/bin`, the newest first.
fn postgres_folders(base: &Path) -> Vec<PathBuf> {
    let mut majors: Vec<u32> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    majors
        .into_iter()
        .map(|major| base.join(major.to_string()).join("bin"))
        .collect()
}

/// The library folders below an unpacked `root`, joined for `LD_LIBRARY_PATH`.
fn unpacked_libraries(root: &Path) -> String {
    let mut folders = Vec::new();
    for lib in ["usr/lib", "lib"].map(|folder| root.join(folder)) {
        let below = fs::read_dir(&lib).into_iter().flatten().flatten();
        let of_machine = below
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().contains("-linux-gnu"));
        // The one library that keeps a part of itself in a folder below.
        folders.extend(
            of_machine
                .flat_map(|path| [path.join("pulseaudio"), path])
                .map(|path| path.display().to_string()),
        );
        folders.push(lib.display().to_string());
    }
    folders.join(":")
}

fn usable(tool: Tool, path: &Path, libraries: Option<&str>) -> Option<Program> {
    // Links are followed to the neighbours of Postgres, but not of Redis, whose one executable does
    // what its name says.
    let path = match tool {
        Tool::Postgres => path.canonicalize().ok()?,
        Tool::Nats | Tool::Redis | Tool::Coturn | Tool::Haproxy | Tool::Node | Tool::Chromium => {
            std::path::absolute(path).ok()?
        }
    };
    let program = Program {
        path,
        libraries: libraries.map(str::to_owned),
    };
    if let Some(needed) = tool.needed_neighbour()
        && !program.neighbour(needed).path.exists()
    {
        return None;
    }
    let output = program.command().arg(tool.version_flag()).output().ok()?;
    let found = version(&String::from_utf8_lossy(&output.stdout))?;
    (found >= tool.minimum()).then_some(program)
}

/// The first `major.minor` in what a program says about itself.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let digits = word.trim_start_matches(['v', '=']);
        let mut parts = digits.split(|c: char| !c.is_ascii_digit());
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next().and_then(|part| part.parse().ok());
        Some((major, minor.unwrap_or(0)))
    })
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn every_server_states_its_version_in_its_own_way() {
        for (text, expected) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
                (15, 18),
            ),
            ("postgres (PostgreSQL) 18beta1", (18, 0)),
            ("nats-server: v2.9.10", (2, 9)),
            (
                "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1",
                (7, 0),
            ),
            ("HAProxy version 2.6.12-1+deb12u3 2025/10/03", (2, 6)),
            ("4.6.1", (4, 6)),
            ("v20.19.0", (20, 19)),
            ("Chromium 148.0.7778.167 built on Debian", (148, 0)),
        ] {
            assert_eq!(version(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_program_that_says_nothing_has_no_version() {
        assert_eq!(version("usage: whatever"), None);
    }
}
