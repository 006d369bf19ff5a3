//! The floors: what each step costs when plain etcd processes are driven by hand, in the best order that we know of, by somebody who
//! checks nothing.

mod create;
mod grow;
mod leader;
mod replace;
mod shrink;

pub(crate) use self::{
    create::create,
    grow::{grow, grow_one_by_one},
    leader::{hand_over, kill},
    replace::replace,
    shrink::shrink,
};
