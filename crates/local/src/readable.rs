//! Waiting for a descriptor of the kernel's own making to have something to say.

use std::{io, os::fd::OwnedFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Needs a tokio runtime.
#[expect(
    deprecated,
    reason = "unsound for types that give out changing descriptors; an OwnedFd is always the same one, and unsafe code is forbidden here"
)]
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
