//! Commands and flags.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use driftline::core::{Device, Precision};
use driftline::stats::DEFAULT_CLUSTERS;

/// The default of `--clusters`.
const CLUSTERS: NonZeroUsize = NonZeroUsize::new(DEFAULT_CLUSTERS).unwrap();

/// Watches image data for drift.
#[derive(Parser)]
#[command(name = "driftline", version, about, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub output: Output,
    /// Folder that plugins are looked for in first; may be repeated
    #[arg(long, global = true, value_name = "DIR")]
    pub plugin_path: Vec<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// How results and progress are shown.
#[derive(Args, Clone, Copy)]
pub struct Output {
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Do the whole notebook: baseline, three weeks with drift, publish, statistics
    Quickstart(QuickstartArgs),
    /// Do the same from a settings file: any data, any windows
    Run(RunArgs),
    /// Turn images into rows of embeddings and scores
    Embed(EmbedArgs),
    /// Compare two row files
    Drift(DriftArgs),
    /// Compile a row file into a baseline file: clusters, profile, the rows that tests use
    Baseline(BaselineArgs),
    /// Measure from which strength and after how many images drift would be detected
    Power(PowerArgs),
    /// Measure the false alarms of the drift statistics on clean windows, beside the significance level
    Calibrate(CalibrateArgs),
    /// Write what is in a store as one page that opens offline
    Report(ReportArgs),
    /// Put a store behind an API that Fiddler's clients speak, and a web page
    ///
    /// Clients send a token. It comes from DRIFTLINE__SERVE__TOKEN, or is made at the first start and shown once.
    Serve(ServeArgs),
    /// Fetch, inspect or export a model
    Model(ModelArgs),
    /// Install or list the libraries of engines
    Runtime(RuntimeArgs),
    /// Give published events the true classes that came later
    Labels(LabelsArgs),
    /// Deliver what a sink could not deliver yet
    Sink(SinkArgs),
    /// Check a store, repair it, or make few files of many small ones
    Store(StoreArgs),
    /// List plugins, look into one, trust one, make one, test one
    Plugin(PluginArgs),
    /// Run the conformance suite against the backends
    Conformance(ConformanceArgs),
    /// List the embedding backends
    Backends,
    /// List the drift transforms
    Transforms,
    /// List the sinks
    Sinks,
    /// List the drift statistics
    Statistics,
    /// Show versions, threads, folders and what can be used, on one screen
    Doctor(DoctorArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write one for each command
    Man {
        /// The folder that all of them go to
        folder: Option<PathBuf>,
    },
}

/// Flags that quickstart and run share; each overrides the setting of the same name.
#[derive(Args)]
pub struct SettingsArgs {
    /// A model.toml or a weights file, `sample` or `cifar10`
    #[arg(long)]
    pub model: Option<String>,
    /// Backend that embeds (see `driftline backends`)
    #[arg(long)]
    pub backend: Option<String>,
    /// Sink that keeps the rows (see `driftline sinks`)
    #[arg(long)]
    pub sink: Option<String>,
    /// Folder of the store [default: driftline-store]
    #[arg(long)]
    pub store: Option<PathBuf>,
    /// Project name [default: image_monitoring]
    #[arg(long)]
    pub project: Option<String>,
    /// Clusters of the drift histogram [default: 5]
    #[arg(long)]
    pub clusters: Option<NonZeroUsize>,
    /// Images in one call of the backend [default: 256]
    #[arg(long)]
    pub batch_size: Option<NonZeroUsize>,
    /// Threads to compute with [default: all]
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// Where to compute: `cpu`, `cuda` or `cuda:N` [default: cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Library (onnx) or folder (tch) of the backend's engine [default: the backend looks for one]
    #[arg(long, value_name = "PATH")]
    pub runtime: Option<PathBuf>,
    /// Arithmetic: `fp32`, or `bf16` with candle, where the processor has it, or tch on CUDA [default: fp32]
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Seed of transforms, samples and clusters [default: 42]
    #[arg(long)]
    pub seed: Option<u64>,
    /// What a bad image does [default: skip]
    #[arg(long, value_parser = ["skip", "fail"])]
    pub on_error: Option<String>,
    /// Name of the run [default: a hash of settings and inputs]
    #[arg(long)]
    pub run_id: Option<String>,
    /// The moment the calendar counts back from, as in 2026-11-24T00:00:00Z [default: the first start of this run]
    #[arg(long)]
    pub now: Option<jiff::Timestamp>,
    /// Any setting, as in `--set monitor.feature=image_feature`
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args)]
pub struct QuickstartArgs {
    /// Images of the baseline: `sample`, `cifar10`, or a path
    #[arg(long, default_value = "sample", value_name = "SRC")]
    pub dataset: String,
    /// Images of the three weeks [default: the test split of the data set]
    #[arg(long, value_name = "SRC")]
    pub events: Option<String>,
    /// Days with events in each week
    #[arg(long, default_value = "6")]
    pub days: NonZeroUsize,
    /// Events sampled for each day
    #[arg(long, default_value_t = 1000)]
    pub per_day: u64,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Args)]
pub struct RunArgs {
    /// The settings file
    #[arg(long, short, default_value = "driftline.toml")]
    pub config: PathBuf,
    /// Drift to inject into every window, in the place of its own, as in "fog(severity=3)"
    #[arg(long, value_name = "TRANSFORM")]
    pub transform: Option<String>,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Args)]
pub struct EmbedArgs {
    /// Images: a path, `sample` or `cifar10`
    #[arg(value_name = "SRC")]
    pub source: String,
    /// The row file to write
    #[arg(long, short)]
    pub output: PathBuf,
    /// Drift to inject, as in "blur(sigma=0.1..2)"
    #[arg(long, default_value = "none")]
    pub transform: String,
    #[command(flatten)]
    pub embedding: EmbeddingArguments,
    /// Seed of the transforms
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// What a bad image does
    #[arg(long, default_value = "skip", value_parser = ["skip", "fail"])]
    pub on_error: String,
}

#[derive(Args)]
pub struct PowerArgs {
    /// Images without drift: a path, `sample` or `cifar10`
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Drift transform to inject
    #[arg(long, value_name = "NAME")]
    pub transform: String,
    /// Its parameter and the range that is swept, as in `sigma=0.1..2`
    #[arg(long, value_name = "PARAMETER=LOW..HIGH")]
    pub sweep: String,
    /// Values of the parameter, from the least to the greatest
    #[arg(long, default_value = "5")]
    pub steps: NonZeroUsize,
    /// Baseline file, or row file of the baseline [default: every second image of SRC]
    #[arg(long)]
    pub baseline: Option<PathBuf>,
    /// Rows of a window; several sizes separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10,20,50,100,200,500,1000",
        value_name = "ROWS"
    )]
    pub window_rows: Vec<NonZeroUsize>,
    /// Windows of each size
    #[arg(long, default_value = "200")]
    pub windows: NonZeroUsize,
    #[command(flatten)]
    pub embedding: EmbeddingArguments,
    #[command(flatten)]
    pub test: TestArguments,
}

/// What embeds images.
#[derive(Args)]
pub struct EmbeddingArguments {
    /// A model.toml or a weights file, `sample` or `cifar10`
    #[arg(long, default_value = "sample")]
    pub model: String,
    /// Backend that embeds
    #[arg(long, default_value = "candle")]
    pub backend: String,
    /// Images in one call of the backend
    #[arg(long, default_value = "256")]
    pub batch_size: NonZeroUsize,
    /// Threads to compute with [default: all]
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// Where to compute: `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value_t)]
    pub device: Device,
    /// Library (onnx) or folder (tch) of the backend's engine [default: the backend looks for one]
    #[arg(long, value_name = "PATH")]
    pub runtime: Option<PathBuf>,
    /// Arithmetic: `fp32`, or `bf16` with candle, where the processor has it, or tch on CUDA [default: fp32]
    #[arg(long)]
    pub precision: Option<Precision>,
}

/// How windows are tested.
#[derive(Args)]
pub struct TestArguments {
    /// Statistics, separated by commas (see `driftline statistics`) [default: those marked there]
    #[arg(long, value_delimiter = ',')]
    pub statistic: Vec<String>,
    /// Significance level: the share of windows without drift that may be called drifted
    #[arg(long, default_value_t = 0.05, value_name = "SHARE")]
    pub alpha: f64,
    /// Consecutive rows that depend on each other, as the frames of a video do; 1 for independent rows
    #[arg(long, default_value = "1", value_name = "ROWS")]
    pub block: NonZeroUsize,
    /// Seed of clusters, subsamples and permutations
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

#[derive(Args)]
pub struct BaselineArgs {
    /// Row file with the reference rows
    #[arg(value_name = "ROWS")]
    pub rows: PathBuf,
    /// The baseline file to write
    #[arg(long, short)]
    pub output: PathBuf,
    /// Number of clusters
    #[arg(long, default_value_t = CLUSTERS)]
    pub clusters: NonZeroUsize,
    /// Rows kept for the tests; of more rows a subsample
    #[arg(long, default_value = "5000", value_name = "ROWS")]
    pub kept: NonZeroUsize,
    /// Consecutive rows that depend on each other, as the frames of a video do: a number, 1 for independent rows, or `auto`
    /// for the lag at which the rows' autocorrelation is below 0.1
    #[arg(long, default_value = "1", value_name = "ROWS|auto")]
    pub block: Block,
    /// Clean windows of consecutive rows whose false alarms are measured and kept in the file; 0 for none
    #[arg(long, default_value = "200", value_name = "WINDOWS")]
    pub calibrate: usize,
    /// Seed of clusters and subsamples
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

/// Consecutive rows that depend on each other.
#[derive(Debug, Clone, Copy)]
pub enum Block {
    /// As many as the rows say.
    Auto,
    Rows(NonZeroUsize),
}

impl std::str::FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let rows = text.parse().map(Self::Rows);
        rows.map_err(|_| "write a number of rows above 0, or `auto`".to_owned())
    }
}

#[derive(Args)]
pub struct CalibrateArgs {
    /// Row file with rows without drift
    #[arg(value_name = "ROWS")]
    pub rows: PathBuf,
    /// Windows of each size
    #[arg(long, default_value = "2000")]
    pub windows: NonZeroUsize,
    /// Rows of a window; several sizes separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "50,200,1000",
        value_name = "ROWS"
    )]
    pub window_rows: Vec<NonZeroUsize>,
    /// Rows of each window's baseline
    #[arg(long, default_value = "5000", value_name = "ROWS")]
    pub baseline_rows: NonZeroUsize,
    /// Draw rows as they follow each other, to see what their order does to the check; with a block they always are
    #[arg(long)]
    pub consecutive: bool,
    /// Number of clusters
    #[arg(long, default_value_t = CLUSTERS)]
    pub clusters: NonZeroUsize,
    #[command(flatten)]
    pub test: TestArguments,
}

#[derive(Args)]
pub struct DriftArgs {
    /// Baseline file, or row file of the baseline
    #[arg(long)]
    pub baseline: PathBuf,
    /// Row file of the window
    #[arg(long)]
    pub window: PathBuf,
    /// End with exit code 3 if there is drift
    #[arg(long)]
    pub fail_on_drift: bool,
    /// End with exit code 3 if a statistic is above its limit, as in `jsd=0.1`
    #[arg(long, value_delimiter = ',', value_name = "STATISTIC=LIMIT")]
    pub fail_above: Vec<String>,
    /// Clusters of the histogram; a baseline file has its own
    #[arg(long, default_value_t = CLUSTERS)]
    pub clusters: NonZeroUsize,
    #[command(flatten)]
    pub test: TestArguments,
}

#[derive(Args)]
pub struct ReportArgs {
    /// Folder of the store
    #[arg(long, default_value = "driftline-store")]
    pub store: PathBuf,
    /// The HTML file to write
    #[arg(long, short)]
    pub output: PathBuf,
    /// Only this model; may be repeated [default: every model of the store]
    #[arg(long = "only", value_name = "PROJECT/MODEL")]
    pub only: Vec<String>,
    /// Folder with images that the page may show, or a file that holds them; may be repeated
    #[arg(long, value_name = "PATH")]
    pub images: Vec<PathBuf>,
}

#[derive(Args)]
pub struct ServeArgs {
    /// Folder of the store; it is made if it is not there
    #[arg(long, default_value = "driftline-store")]
    pub store: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The server's certificate for TLS, in PEM form, with those that lead to one that clients trust
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Folder with images that the page may show, or a file that holds them; may be repeated
    #[arg(long, value_name = "PATH")]
    pub images: Vec<PathBuf>,
}

#[derive(Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    pub command: ModelCommand,
}

#[derive(Subcommand)]
pub enum ModelCommand {
    /// Download the official CIFAR-10 weights into the cache and print their path
    Fetch,
    /// Show what is in a model
    Inspect {
        /// A model.toml or a weights file, `sample` or `cifar10`
        model: String,
    },
    /// Write a model as an ONNX graph, with a model.toml beside it
    ExportOnnx {
        /// A model.toml or a weights file, `sample` or `cifar10`
        model: String,
        /// The .onnx file to write
        #[arg(long, short)]
        output: PathBuf,
    },
}

#[derive(Args)]
pub struct ConformanceArgs {
    /// Only this backend [default: every one that this machine can run]
    #[arg(long)]
    pub backend: Option<String>,
    /// What this plugin offers, as `driftline plugin test` does
    #[arg(long, value_name = "FILE", conflicts_with_all = ["backend", "device", "runtime"])]
    pub plugin: Option<String>,
    /// Where to compute: `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value_t)]
    pub device: Device,
    /// Library (onnx) or folder (tch) of the backend's engine [default: the backend looks for one]
    #[arg(long, value_name = "PATH", requires = "backend")]
    pub runtime: Option<PathBuf>,
    /// Arithmetic: `fp32`, or `bf16` with candle, where the processor has it, or tch on CUDA [default: fp32]
    #[arg(long, requires = "backend")]
    pub precision: Option<Precision>,
    /// Write the result as JUnit XML too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

#[derive(Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    pub command: PluginCommand,
}

#[derive(Subcommand)]
pub enum PluginCommand {
    /// Show the plugins that are found and what they offer; runs none of them
    List,
    /// Show where plugins are looked for, and what is there
    Path,
    /// Load a plugin in a process of its own and show what it says about itself; this runs its code
    Inspect {
        /// The name of a plugin that is found, or a library
        plugin: String,
        /// What the process of its own does
        #[arg(long, hide = true)]
        in_this_process: bool,
        /// The engine whose library the process of its own loads first
        #[arg(long, hide = true)]
        with_runtime: Option<String>,
    },
    /// Trust the library that a plugin has now: another one of its name is then refused
    Trust {
        /// The name of a plugin that is found
        plugin: String,
    },
    /// Make a new plugin to begin from: a transform that builds, passes its tests and is found
    New(NewArgs),
    /// Run the conformance cases of everything that a plugin offers, in a process of its own
    Test(TestArgs),
}

#[derive(Args)]
pub struct NewArgs {
    /// Name of the plugin: small letters, digits and `-`
    pub name: String,
    /// Language it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub lang: Language,
    /// Folder to make [default: the name, in the working directory]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// With the SDK; built with cargo
    Rust,
    /// With the C header; built with make
    C,
}

#[derive(Args)]
pub struct TestArgs {
    /// A manifest, a library, or the name of a plugin that is found
    pub plugin: String,
    /// Only this component [default: all]
    #[arg(long, value_name = "NAME")]
    pub component: Option<String>,
    /// Parameters of a transform or options of a sink, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub config: String,
    /// Seconds in which each case must end
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub deadline: u64,
    /// Write the result as JUnit XML too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// What the process of its own does
    #[arg(long, hide = true)]
    pub in_this_process: bool,
}

/// Which sink of which store, for commands that come after a run.
#[derive(Args)]
pub struct StoredArgs {
    /// A settings file, for its `[sink]`, `[monitor]` and `[plugins]`
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sink that the run published to [default: local for labels, fiddler for sink]
    #[arg(long)]
    pub sink: Option<String>,
    /// Folder of the store that the run was given [default: driftline-store]
    #[arg(long)]
    pub store: Option<PathBuf>,
    /// Any setting, as in `--set sink.options.url=http://127.0.0.1:8080`
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args)]
pub struct LabelsArgs {
    #[command(subcommand)]
    pub command: LabelsCommand,
}

#[derive(Subcommand)]
pub enum LabelsCommand {
    /// Publish a label file: Parquet or CSV with the columns `event_id` and `target`
    Publish {
        /// The label file
        file: PathBuf,
        /// Project of the events [default: the only one that was run into the store]
        #[arg(long)]
        project: Option<String>,
        /// Name that the model was published under [default: the only one that was run into the store]
        #[arg(long, value_name = "NAME")]
        model_name: Option<String>,
        #[command(flatten)]
        stored: StoredArgs,
    },
}

#[derive(Args)]
pub struct SinkArgs {
    #[command(subcommand)]
    pub command: SinkCommand,
}

#[derive(Subcommand)]
pub enum SinkCommand {
    /// Deliver everything that runs into this store have left, and wait until it has arrived
    Flush(StoredArgs),
    /// Show what waits for Fiddler, what is damaged and what it did not take, batch by batch
    List(StoredArgs),
    /// Make a batch due now; damaged ones and dead letters too, where they can be read
    Retry {
        /// The batch's id, as `driftline sink list` shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// Everything that is listed
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        stored: StoredArgs,
    },
    /// Give a batch up: move it to the dead letters, and say what is lost
    Skip {
        /// The batch's id, as `driftline sink list` shows it
        id: String,
        #[command(flatten)]
        stored: StoredArgs,
    },
}

#[derive(Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    pub command: StoreCommand,
    /// Folder of the store [default: driftline-store]
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum StoreCommand {
    /// Look at every file, whole, and change nothing; exit code 1 if something is damaged
    Check,
    /// Set aside what is damaged, so that the rest can be used; exit code 1 if something is left
    Repair,
    /// Make few files of the many that small calls leave
    Compact,
}

#[derive(Args)]
pub struct RuntimeArgs {
    #[command(subcommand)]
    pub command: RuntimeCommand,
}

#[derive(Subcommand)]
pub enum RuntimeCommand {
    /// Bring a library into the cache, checked, and print its path
    Install {
        /// The engine it belongs to
        engine: Engine,
    },
    /// Show which libraries are found
    List,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Engine {
    /// ONNX Runtime, from its Python wheel
    Onnx,
    /// libtorch for the CPU, from the Python wheels of PyTorch
    Tch,
}

#[derive(Args)]
pub struct DoctorArgs {
    /// Folder of the store
    #[arg(long, default_value = "driftline-store")]
    pub store: PathBuf,
}
