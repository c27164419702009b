//! The load generator against the system of the test run.

use std::{env, fs, process::Command};

use serde_json::Value;

#[test]
fn a_load_is_put_on_and_reported() {
    let endpoints = env::var("CHAT_ENDPOINTS").expect("`cargo xtask test` sets CHAT_ENDPOINTS");
    let report = env::temp_dir().join(format!("load-{}", std::process::id()));

    let status = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["run", "--endpoints", &endpoints, "--report"])
        .arg(&report)
        .args(["--conversations", "3", "--connections", "5"])
        .args(["--rate", "30", "--calls", "60", "--seconds", "3"])
        .status()
        .unwrap();

    assert!(status.success(), "{status}");
    let json: Value =
        serde_json::from_slice(&fs::read(report.join("report.json")).unwrap()).unwrap();
    let (totals, outcome) = (&json["totals"], &json["outcome"]);
    assert_eq!(totals["sent"], 90);
    assert_eq!(totals["confirmed"], 90);
    assert_eq!(totals["heard"], 90);
    for wrong in ["lost", "doubled", "out_of_order", "unconfirmed"] {
        assert_eq!(outcome[wrong], 0, "{wrong}");
    }
    assert!(11 <= totals["connected"].as_u64().unwrap(), "{totals}");
    assert!(1 <= totals["calls"].as_u64().unwrap(), "{totals}");
    assert_eq!(totals["calls_failed"], 0);
    let page = fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.contains("<polyline points=\""), "it has plots");
    let text = fs::read_to_string(report.join("report.txt")).unwrap();
    assert!(text.contains("messages sent"), "{text}");
    fs::remove_dir_all(report).unwrap();
}

#[test]
fn what_to_load_has_to_be_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .arg("run")
        .output()
        .unwrap();

    assert!(!output.status.success());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("--endpoints")
    );
}
