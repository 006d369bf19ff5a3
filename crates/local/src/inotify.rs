//! Told by the kernel when files of ours are replaced, so that nobody has to look all the time.

use std::{io, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use tokio::io::unix::AsyncFd;

use crate::readable::readable;

/// Directories that are watched. Dropping it ends the watching.
#[derive(Debug)]
pub(crate) struct Inotify {
    fd: AsyncFd<OwnedFd>,
}

impl Inotify {
    /// Needs a tokio runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { fd: readable(fd)? })
    }

    /// Watches the files of a directory: those written in place and closed, put in place, and taken away.
    pub(crate) fn watch(&self, directory: &Path) -> io::Result<()> {
        let what = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        inotify::add_watch(self.fd.get_ref(), directory, what | WatchFlags::ONLYDIR)?;
        Ok(())
    }

    /// Waits until a file called `name` was touched in any of the directories. Nothing is lost when it is dropped and called
    /// again, except what happened to files of other names.
    pub(crate) async fn touched(&self, name: &str) -> io::Result<()> {
        loop {
            let mut ready = self.fd.readable().await?;
            match drain(self.fd.get_ref(), name) {
                Ok(Seen::Wanted) => return Ok(()),
                Ok(Seen::Others) => {}
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Seen {
    Wanted,
    Others,
}

/// Takes what one read gives; `WOULDBLOCK` when there is nothing.
fn drain(fd: &OwnedFd, name: &str) -> Result<Seen, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut seen = Seen::Others;
    loop {
        let event = reader.next()?;
        let named = event.file_name().is_some_and(|file| file.to_bytes() == name.as_bytes());
        // Events were dropped: anything may have happened.
        if named || event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            seen = Seen::Wanted;
        }
        if reader.is_buffer_empty() {
            return Ok(seen);
        }
    }
}
