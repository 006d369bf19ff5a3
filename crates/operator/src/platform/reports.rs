//! Asks the guards' reporters what stands on the disks and at the gates. One short request each, all at once, within a deadline.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use etcdop_core::id::Slot;
use etcdop_guard::Report;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{objects::Objects, phase::container, reach::Reach};

/// Where the reporter of each Pod listens.
pub(crate) const REPORT_PORT: u16 = 2378;
/// For one answer. A reporter answers within a millisecond; a Pod that is cut off must not hold up the look at the others.
const ANSWER: Duration = Duration::from_millis(250);
/// For how long the last answer of the same container stands in for one that did not come.
const REMEMBERED: Duration = Duration::from_secs(2);
/// More than any report.
const LONGEST: usize = 16 * 1024;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A report.
    Report(Report),
    /// Nothing, and why.
    Silence(String),
}

/// Asks, and remembers the last answers.
#[derive(Default)]
pub(crate) struct Reports {
    last: Mutex<HashMap<String, (Report, Instant)>>,
}

impl Reports {
    /// What the reporters of all Pods say whose container runs.
    pub(crate) async fn ask(&self, objects: &Objects, reach: &Reach) -> BTreeMap<Slot, Heard> {
        let running = objects.pods.iter().filter_map(|(&slot, pod)| Some((slot, pod, run(pod)?)));
        let asked = running.map(|(slot, pod, run)| async move {
            let answer = match reach.address(pod, REPORT_PORT) {
                Some(address) => ask(address).await,
                None => Err("it has no address yet".to_owned()),
            };
            (slot, run, answer)
        });
        let answers = join_all(asked).await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut heard = BTreeMap::new();
        let mut kept = HashMap::new();
        for (slot, run, answer) in answers {
            let now = Instant::now();
            let answer = match (answer, last.remove(&run)) {
                (Ok(report), _) => Ok((report, now)),
                (Err(_), Some((report, at))) if at.elapsed() < REMEMBERED => Ok((report, at)),
                (Err(why), _) => Err(why),
            };
            heard.insert(
                slot,
                match answer {
                    Ok((report, at)) => {
                        kept.insert(run, (report.clone(), at));
                        Heard::Report(report)
                    }
                    Err(why) => Heard::Silence(why),
                },
            );
        }
        *last = kept;
        heard
    }
}

/// One run of etcd's container, if it runs.
fn run(pod: &Pod) -> Option<String> {
    let container = container(pod)?;
    container.state.as_ref()?.running.as_ref()?;
    Some(format!("{}/{}", pod.uid()?, container.container_id.as_deref().unwrap_or_default()))
}

async fn ask(address: SocketAddr) -> Result<Report, String> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: guard\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        // By its length: a forwarded connection does not tell that its other end was closed.
        while body(&answer).is_none() && answer.len() < LONGEST && stream.read_buf(&mut answer).await? > 0 {}
        Ok::<_, std::io::Error>(answer)
    };
    let answer = match timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer within {ANSWER:?}")),
    };
    Report::parse(body(&answer).ok_or("the answer is cut short")?).map_err(|error| error.to_string())
}

/// The body of an HTTP answer, once all of it is there.
fn body(answer: &[u8]) -> Option<&str> {
    let (head, body) = std::str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    body.get(..length.parse().ok()?)
}
