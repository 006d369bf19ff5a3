//! Every figure of this project beside its floor, measured in the same run on the same disk: the floor by driving plain etcd processes
//! by hand, ours through the engine and the local platform.

mod floor;
mod ground;
mod ours;
mod plain;
mod step;

use std::{io, process::ExitCode};

use clap::Parser;
use etcdop_bench::{
    failure, figure, load, process,
    run::{Repetitions, Side, begin, end, say, until_told_to_stop},
    wait, writers,
};
use tracing_subscriber::EnvFilter;

use crate::{failure::Failure, ground::Ground, ours::Workshop, step::Step};

/// Measure every figure beside its floor.
#[derive(Debug, Parser)]
struct Arguments {
    /// Measure only steps whose name contains this; may be given more than once
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// How often each step is measured, on each side
    #[arg(long, default_value_t = 7)]
    repetitions: usize,
    /// Which side to measure
    #[arg(long, value_enum, default_value_t = Side::Both)]
    side: Side,
    /// Print the names of the steps and stop
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // RUST_LOG=etcdop_engine=info shows where a repetition of ours spends its time.
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(io::stderr).init();
    until_told_to_stop(Box::pin(run(&arguments))).await
}

async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let steps: Vec<Step> = Step::all().into_iter().filter(|step| arguments.wants(*step)).collect();
    if arguments.list || steps.is_empty() {
        for step in Step::all() {
            say(&step.to_string());
        }
        return Ok(if steps.is_empty() { ExitCode::from(2) } else { ExitCode::SUCCESS });
    }
    let ground = Ground::find()?;
    let shop = Workshop::open(ground.clone()).await?;
    let mut report = begin();
    for step in steps {
        measure(step, arguments, &ground, &shop).await.report(step.figures(), &mut report);
    }
    end(&report, &ground.target().join("bench.json"))
}

/// All repetitions of one step. Floor and ours take turns, so that what else the machine does falls on both.
async fn measure(step: Step, arguments: &Arguments, ground: &Ground, shop: &Workshop) -> Repetitions {
    let mut repetitions = Repetitions::of(step.to_string());
    for _ in 0..arguments.repetitions {
        if arguments.side != Side::Ours {
            repetitions.floor(step.floor(ground).await);
        }
        if arguments.side != Side::Floor {
            repetitions.ours(step.ours(shop).await);
        }
    }
    repetitions
}

impl Arguments {
    fn wants(&self, step: Step) -> bool {
        let name = step.to_string();
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}
