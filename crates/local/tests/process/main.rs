//! The local platform with real processes: what starts, what outlives its manager, what is recognised, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in tests; this reaches their helpers")]

mod adoption;
mod disk;
mod ending;
mod gate;
mod manager;
mod stand;
mod trouble;
