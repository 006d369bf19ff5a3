//! What breaks nodes or the API server is everybody's trouble: nextest lets each of these run by itself (.config/nextest.toml).

mod api_server;
mod nodes;
