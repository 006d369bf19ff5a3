//! Every figure of this project beside its floor, measured in the same run on the same disk: the floor by driving plain etcd processes
//! by hand, ours through the engine and the local platform.

mod failure;
mod figure;
mod floor;
mod ground;
mod load;
mod ours;
mod plain;
mod report;
mod step;
mod wait;
mod writers;

use std::{
    error::Error,
    future::pending,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

use crate::{
    failure::Failure,
    figure::Series,
    ground::Ground,
    ours::Workshop,
    report::{Head, Report, Row},
    step::{Sample, Step},
};

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Side {
    Both,
    Floor,
    Ours,
}

/// Everything measured, and some bar missed.
const MISSED: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // RUST_LOG=etcdop_engine=info shows where a repetition of ours spends its time.
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(io::stderr).init();
    let run = async {
        tokio::select! {
            outcome = run(&arguments) => outcome,
            code = told_to_stop() => Ok(code),
        }
    };
    match run.await {
        Ok(code) => code,
        Err(failure) => {
            say(&chain(&failure));
            ExitCode::FAILURE
        }
    }
}

/// Until Ctrl-C or SIGTERM. What is dropped then takes its processes along.
async fn told_to_stop() -> ExitCode {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return pending().await };
    tokio::select! {
        _ = ctrl_c() => ExitCode::from(130),
        _ = terminate.recv() => ExitCode::from(143),
    }
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
    let mut report = Report::default();
    say(&Head.to_string());
    for step in steps {
        for row in measure(step, arguments, &ground, &shop, &mut report.failures).await {
            say(&row.to_string());
            report.rows.push(row);
        }
    }
    let path = ground.target().join("bench.json");
    report.save(&path).map_err(Failure::io("write bench.json"))?;
    for failure in &report.failures {
        say(failure);
    }
    say(&format!("written to {}", path.display()));
    let met = report.failures.is_empty() && report.rows.iter().all(Row::is_met);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::from(MISSED) })
}

/// All repetitions of one step. Floor and ours take turns, so that what else the machine does falls on both.
async fn measure(
    step: Step,
    arguments: &Arguments,
    ground: &Ground,
    shop: &Workshop,
    failures: &mut Vec<String>,
) -> Vec<Row> {
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    let mut keep = |side: &mut Vec<Sample>, who: &str, outcome: Result<Option<Sample>, Failure>| match outcome {
        Ok(sample) => side.extend(sample),
        Err(failure) => failures.push(format!("{step}, {who}: {}", chain(&failure))),
    };
    for _ in 0..arguments.repetitions {
        if arguments.side != Side::Ours {
            keep(&mut floor, "floor", step.floor(ground).await);
        }
        if arguments.side != Side::Floor {
            keep(&mut ours, "ours", step.ours(shop).await.map(Some));
        }
    }
    let series = |side: &[Sample], at: usize| Series {
        values: side.iter().filter_map(|sample| sample.get(at).copied()).collect(),
    };
    let row = |(at, figure)| Row::new(step.to_string(), &figure, series(&floor, at), series(&ours, at));
    step.figures().into_iter().enumerate().map(row).collect()
}

impl Arguments {
    fn wants(&self, step: Step) -> bool {
        let name = step.to_string();
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

/// A failure with its causes.
fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// One line for people. Whoever closed the pipe does not want it.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
