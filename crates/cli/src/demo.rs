use crate::{exit::Exit, failure::Failure, local::Context};
pub(crate) async fn demo(_context: &Context) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
