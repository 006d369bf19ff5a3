//! etcd's v3 API as the .proto files in `proto/` describe it. Generated: `tests/generated.rs` compares and rewrites.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::pedantic,
    clippy::or_fun_call,
    clippy::use_self,
    clippy::enum_variant_names,
    clippy::large_enum_variant,
    reason = "written by a generator, not by us"
)]

#[rustfmt::skip]
pub(crate) mod authpb;
#[rustfmt::skip]
pub(crate) mod etcdserverpb;
#[rustfmt::skip]
pub(crate) mod mvccpb;
