//! What the kernel tells about this machine and its processes.

use anyhow::Context as _;

/// Describes the machine in a line.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu_info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_info
        .lines()
        .find_map(|line| {
            line.strip_prefix("model name")?
                .split_once(": ")
                .map(|(_, name)| name)
        })
        .unwrap_or("unknown processor");
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gib = field(&memory, "MemTotal:").map_or(0, |kib| kib / 1_048_576);
    format!("{cores} cores of {model}, {gib} GiB")
}

/// Returns the resident memory of a process, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("no process {pid}"))?;
    let kib = field(&status, "VmRSS:").context("the process has no memory figure")?;
    Ok(kib * 1_024)
}

/// Returns how many files, sockets among them, a process has open.
pub(crate) fn open_files(pid: u32) -> anyhow::Result<usize> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .with_context(|| format!("no process {pid}"))?;
    Ok(files.count())
}

/// Returns the processor time that a process has used, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("no process {pid}"))?;
    // Fields are counted from behind the command's name, which may hold blanks.
    let (_, fields) = stat
        .rsplit_once(')')
        .context("unreadable process statistics")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    // Linux fixes USER_HZ at 100 for user space.
    Ok(std::time::Duration::from_millis(ticks * 10).as_secs_f64())
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    })
}
