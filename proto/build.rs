//! Compiles the .proto files in pure Rust: no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "chat/v1/types.proto",
        "chat/v1/calls.proto",
        "chat/v1/rpc.proto",
        "chat/v1/event.proto",
    ];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    prost_build::Config::new()
        .bytes(["."])
        // It prints nothing of what a client sent.
        .skip_debug(["chat.v1.CallSignal"])
        .compile_fds(descriptors)?;
    Ok(())
}
