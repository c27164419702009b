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
    ];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    let listing = descriptors.file.iter().flat_map(list).collect::<String>();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("wire.txt"), listing)?;
    prost_build::Config::new()
        .bytes(["."])
        // It prints nothing of what a client sent.
        .skip_debug(["chat.v1.CallSignal", "chat.v1.Segment"])
        .compile_fds(descriptors)?;
    Ok(())
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
