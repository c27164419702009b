//! Compiles the .proto files in pure Rust: no protoc is needed. Also lists what makes up the wire
//! format, for the test that freezes it.

use std::path::PathBuf;

use prost_types::{FileDescriptorProto, field_descriptor_proto::Label};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "chat/v1/types.proto",
        "chat/v1/calls.proto",
        "chat/v1/presence.proto",
        "chat/v1/rpc.proto",
        "chat/v1/event.proto",
        "chat/v1/gateway.proto",
        "chat/v1/inbound.proto",
        "chat/v1/journal.proto",
        "chat/v1/revocations.proto",
    ];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    let listing = descriptors.file.iter().flat_map(list).collect::<String>();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("wire.txt"), listing)?;
    let inbound = IN_KINDS.map(|kind| format!("chat.v1.In{kind}"));
    let unprinted = ["chat.v1.CallSignal", "chat.v1.Segment", "chat.v1.Notify"];
    let mut config = prost_build::Config::new();
    config
        .bytes(["."])
        // It prints nothing of what a client or another service sent.
        .skip_debug(
            unprinted
                .iter()
                .copied()
                .chain(inbound.iter().map(String::as_str)),
        );
    read_as_json(&mut config, &inbound);
    config.compile_fds(descriptors)?;
    Ok(())
}

/// What other services write.
const IN_KINDS: [&str; 7] = [
    "User",
    "Booking",
    "Business",
    "Association",
    "Message",
    "Notify",
    "Revocation",
];

/// Lets other services write in JSON, too.
fn read_as_json(config: &mut prost_build::Config, inbound: &[String]) {
    for message in inbound {
        config.type_attribute(
            message,
            r#"#[derive(serde::Deserialize)] #[serde(rename_all = "camelCase")]"#,
        );
    }
    for (field, attribute) in [
        (
            "InBooking.professional_id",
            r#"alias = "consultantId", alias = "businessId""#,
        ),
        ("InAssociation.removed", "default"),
        ("InBooking.client_id", r#"alias = "patientId""#),
        (
            "InNotify.data",
            r#"default, deserialize_with = "crate::inbound::json_text""#,
        ),
    ] {
        config.field_attribute(format!("chat.v1.{field}"), format!("#[serde({attribute})]"));
    }
}

/// Returns a line for each field and each value of an enumeration: all that a reader depends on.
fn list(file: &FileDescriptorProto) -> Vec<String> {
    let mut lines = Vec::new();
    for message in &file.message_type {
        for field in &message.field {
            let repeated = match field.label() {
                Label::Repeated => "repeated ",
                Label::Optional | Label::Required => "",
            };
            let kind = format!("{:?}", field.r#type()).to_lowercase();
            let line = [
                format!("{} {} = ", message.name(), field.number()),
                format!("{repeated}{kind}{} {}", field.type_name(), field.name()),
            ];
            lines.push(line.concat() + "\n");
        }
    }
    for values in &file.enum_type {
        for value in &values.value {
            lines.push(format!(
                "{} {} = {}\n",
                values.name(),
                value.number(),
                value.name()
            ));
        }
    }
    lines
}
