//! Every figure of the operator beside its floor, measured in the same run on the same cluster: the floor with etcd in plain stateful sets,
//! ours through a release binary of the operator that runs here, outside of the cluster. The clock runs from the edit, or from the
//! fault, until etcd itself says that it is over: every member, asked itself, lists the same voters and serves a linearizable read.

mod done;
mod double;
mod ground;
mod operator;
mod pods;
mod row;
mod subject;
mod writes;

use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::Parser;
use etcdop_bench::{
    failure::{self, Failure},
    figure, load, process, run,
    run::{Side, begin, chain, end, say, until_told_to_stop},
    wait, writers,
};
use tracing_subscriber::EnvFilter;

use crate::{
    ground::{Ground, Images},
    operator::{Operator, Reach},
    pods::Pods,
    row::Row,
};

/// Measure every figure of the operator beside its floor, on the cluster of $KUBECONFIG.
#[derive(Debug, Parser)]
struct Arguments {
    /// Measure only rows whose name contains this; may be given more than once
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// How often each row is measured, on each side
    #[arg(long, default_value_t = 8)]
    repetitions: usize,
    /// Which side to measure
    #[arg(long, value_enum, default_value_t = Side::Both)]
    side: Side,
    /// Where the report is written; target/bench-kubernetes.json when left out
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How the operator reaches Pods; directly is how it does inside the cluster
    #[arg(long, value_enum, default_value_t = Reach::Direct)]
    reach: Reach,
    /// Image of the operator that the nodes have: the guard comes out of it
    #[arg(long, env = "IMG", default_value = "etcdop:dev")]
    image: String,
    /// Host of the registry that etcd's image comes from
    #[arg(long, default_value = "gcr.io")]
    registry: String,
    /// Name of etcd's image there
    #[arg(long, default_value = "etcd-development/etcd")]
    repository: String,
    /// Print the names of the rows and stop
    #[arg(long)]
    list: bool,
}

/// What every row is measured with.
struct Bench {
    ground: Ground,
    pods: Pods,
    side: Side,
    repetitions: usize,
    /// Kept running.
    _operator: Operator,
    clusters: AtomicUsize,
}

impl Bench {
    /// A name that no cluster of this run has had.
    fn name(&self) -> String {
        format!("c{}", self.clusters.fetch_add(1, Ordering::Relaxed))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(io::stderr).init();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Box::pin(run(&arguments)).await {
        Ok(code) => code,
        Err(failure) => {
            say(&chain(&failure));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let rows: Vec<Row> = Row::all().into_iter().filter(|row| arguments.wants(*row)).collect();
    if arguments.list || rows.is_empty() {
        for row in Row::all() {
            say(&row.to_string());
        }
        return Ok(if rows.is_empty() { ExitCode::from(2) } else { ExitCode::SUCCESS });
    }
    let images = Images {
        operator: arguments.image.clone(),
        registry: arguments.registry.clone(),
        repository: arguments.repository.clone(),
    };
    let ground = Ground::open(images).await?;
    let code = until_told_to_stop(Box::pin(measure(arguments, rows, &ground))).await;
    ground.close().await;
    Ok(code)
}

async fn measure(arguments: &Arguments, rows: Vec<Row>, ground: &Ground) -> Result<ExitCode, Failure> {
    let operator = Operator::start(ground, &ground.namespace, arguments.reach)?;
    let bench = Bench {
        pods: Pods::watch(&ground.client, &ground.namespace),
        ground: ground.clone(),
        side: arguments.side,
        repetitions: arguments.repetitions,
        _operator: operator,
        clusters: AtomicUsize::new(0),
    };
    row::warm_up(&bench).await?;
    let mut report = begin();
    for row in rows {
        row.measure(&bench).await.report(row.figures(), &mut report);
    }
    let path = arguments.json.clone().unwrap_or_else(|| ground.target.join("bench-kubernetes.json"));
    end(&report, &path)
}

impl Arguments {
    fn wants(&self, row: Row) -> bool {
        let name = row.to_string();
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}
