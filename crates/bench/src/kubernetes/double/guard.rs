//! The guards' reporters.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::world::World;

/// Answers for all of them.
pub(super) async fn serve(listener: TcpListener, world: Arc<World>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let world = Arc::clone(&world);
        // Whoever asked and does not get an answer asks again.
        tokio::spawn(async move { answer(stream, &world).await });
    }
}

async fn answer(mut stream: TcpStream, world: &World) -> std::io::Result<()> {
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") && stream.read_buf(&mut question).await? > 0 {}
    let IpAddr::V4(here) = stream.local_addr().map(|address: SocketAddr| address.ip())? else { return Ok(()) };
    let report = world.at(here).map(|double| double.report()).unwrap_or_default();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{report}", report.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
