//! The content that ships in the binary: (id, path in the repository, text), sorted by id. Written by `build.rs`.

include!(concat!(env!("OUT_DIR"), "/content.rs"));
