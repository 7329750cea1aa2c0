//! Commands and flags.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use driftline::core::{Device, Precision};
use driftline::stats::DEFAULT_CLUSTERS;
use driftline::{Block, Sweep};

/// The default of `--clusters`.
const CLUSTERS: NonZeroUsize = NonZeroUsize::new(DEFAULT_CLUSTERS).unwrap();

/// The heading of flags that every command has.
const GLOBAL: &str = "Global options";

/// Environment and exit codes, at the end of the help and of the man page.
const AFTER_HELP: &str = "\
Environment:
  DRIFTLINE__SECTION__KEY  A setting, as in DRIFTLINE__BACKEND__THREADS=1
  DRIFTLINE_LOG            Log level: error, warn (default), info, debug, trace;
                           or by part, as in warn,driftline_sink_fiddler=debug
  DRIFTLINE_PLUGIN_PATH    Folders to search for plugins
  FIDDLER_URL              Address of the Fiddler server
  FIDDLER_TOKEN            Token for the Fiddler server
  NO_COLOR                 Print no colours

Exit codes:
  0  Success
  1  Failure
  2  Invalid arguments or settings
  3  Success, and there is drift above a limit (--fail-on-drift, --fail-above)";

/// Detects drift in image data
#[derive(Parser)]
#[command(name = "driftline", version, propagate_version = true)]
#[command(after_help = AFTER_HELP, max_term_width = 80)]
pub struct Cli {
    #[command(flatten)]
    pub output: Output,
    /// Folder to search for plugins first; may be repeated
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub plugin_path: Vec<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// How results and progress are shown.
#[derive(Args, Clone, Copy)]
pub struct Output {
    /// Print the result as one JSON document
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
    /// Log more to stderr: -v for info, -vv for debug, -vvv for trace; overrides DRIFTLINE_LOG
    #[arg(long, short, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    pub verbose: u8,
}

/// How much of an explanation is shown.
#[derive(Args)]
pub struct ChangesArgs {
    /// Show every change of a drifted window, not only the three largest
    #[arg(long)]
    pub all_changes: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the whole demo: baseline, three weeks of events with injected drift, statistics, report
    Quickstart(QuickstartArgs),
    /// Run the same from a settings file, on any data and any windows
    Run(RunArgs),
    /// Embed images: write a row file with embeddings and scores
    Embed(EmbedArgs),
    /// Test a window of rows for drift against a baseline
    Drift(DriftArgs),
    /// Compile a row file into a baseline file: clusters, profile, reference rows
    Baseline(BaselineArgs),
    /// Measure the power: how strong drift must be, and in how many images, to be detected
    Power(PowerArgs),
    /// Measure the false-alarm rates of the drift statistics on clean windows
    Calibrate(CalibrateArgs),
    /// Write the contents of a store as one HTML page that opens offline
    Report(ReportArgs),
    /// Serve a store: a Fiddler-compatible API and a web page
    ///
    /// Clients send a token. It comes from DRIFTLINE__SERVE__TOKEN, or is generated at the first start and shown once.
    /// The log goes to stderr as JSON lines; RUST_LOG filters it, as in RUST_LOG=debug.
    Serve(ServeArgs),
    /// Fetch, inspect or export a model
    Model(ModelArgs),
    /// Install or list the libraries that backends load
    Runtime(RuntimeArgs),
    /// Publish labels (true classes) of events that were published before
    Labels(LabelsArgs),
    /// Manage rows and labels that wait to be delivered to a sink
    Sink(SinkArgs),
    /// Check, repair or compact a store
    Store(StoreArgs),
    /// List, inspect, trust, create or test plugins
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
    /// Show versions, threads, folders, backends and sinks on one screen
    Doctor(DoctorArgs),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write the man pages of all commands
    Man {
        /// Folder to write the man pages of all commands to
        folder: Option<PathBuf>,
    },
}

/// Flags that quickstart and run share; each overrides the setting of the same name.
#[derive(Args)]
pub struct SettingsArgs {
    /// Model: a model.toml, a weights file, `sample` or `cifar10`
    #[arg(long)]
    pub model: Option<String>,
    /// Backend that runs the model (see `driftline backends`)
    #[arg(long)]
    pub backend: Option<String>,
    /// Sink to publish to (see `driftline sinks`)
    #[arg(long)]
    pub sink: Option<String>,
    /// Folder of the store [default: driftline-store]
    #[arg(long)]
    pub store: Option<PathBuf>,
    /// Project name [default: image_monitoring]
    #[arg(long)]
    pub project: Option<String>,
    /// Number of clusters of the baseline [default: 5]
    #[arg(long)]
    pub clusters: Option<NonZeroUsize>,
    /// Images per backend call [default: 256]
    #[arg(long)]
    pub batch_size: Option<NonZeroUsize>,
    /// Number of threads [default: one per core]
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// Device: `cpu`, `cuda` or `cuda:N` [default: cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Engine to load: a library file (onnx) or a folder (tch) [default: searched for]
    #[arg(long, value_name = "PATH")]
    pub runtime: Option<PathBuf>,
    /// Precision: `fp32`, or `bf16` with candle on processors that have it, or with tch on CUDA [default: fp32]
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Random seed of transforms, samples and clusters [default: 42]
    #[arg(long)]
    pub seed: Option<u64>,
    /// How to handle an image that cannot be read [default: skip]
    #[arg(long, value_parser = ["skip", "fail"])]
    pub on_error: Option<String>,
    /// Name of the run [default: a hash of settings and inputs]
    #[arg(long)]
    pub run_id: Option<String>,
    /// Time that windows are dated back from, as in 2026-11-24T00:00:00Z [default: first start of this run]
    #[arg(long)]
    pub now: Option<jiff::Timestamp>,
    /// Any setting, as in `--set monitor.feature=image_feature`; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args)]
pub struct QuickstartArgs {
    /// Baseline images: `sample`, `cifar10` or a path
    #[arg(long, default_value = "sample", value_name = "SRC")]
    pub dataset: String,
    /// Images of the three weeks of events [default: the test split of the data set]
    #[arg(long, value_name = "SRC")]
    pub events: Option<String>,
    /// Days with events per week
    #[arg(long, default_value = "6")]
    pub days: NonZeroUsize,
    /// Events sampled per day
    #[arg(long, default_value_t = 1000)]
    pub per_day: u64,
    #[command(flatten)]
    pub changes: ChangesArgs,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Args)]
pub struct RunArgs {
    /// Settings file
    #[arg(long, short, default_value = "driftline.toml")]
    pub config: PathBuf,
    /// Drift transform to apply to every window instead of its own, as in "fog(severity=3)"
    #[arg(long, value_name = "TRANSFORM")]
    pub transform: Option<String>,
    #[command(flatten)]
    pub changes: ChangesArgs,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Args)]
pub struct EmbedArgs {
    /// Images: a path, `sample` or `cifar10`
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Row file to write
    #[arg(long, short)]
    pub output: PathBuf,
    /// Drift transform to apply, as in "blur(sigma=0.1..2)"
    #[arg(long, default_value = "none")]
    pub transform: String,
    #[command(flatten)]
    pub embedding: EmbeddingArguments,
    /// Random seed of the transforms
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// How to handle an image that cannot be read
    #[arg(long, default_value = "skip", value_parser = ["skip", "fail"])]
    pub on_error: String,
}

#[derive(Args)]
pub struct PowerArgs {
    /// Images without drift: a path, `sample` or `cifar10`
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Drift transform to apply
    #[arg(long, value_name = "NAME")]
    pub transform: String,
    /// Parameter of the transform and the range to sweep, as in `sigma=0.1..2`
    #[arg(long, value_name = "PARAMETER=LOW..HIGH")]
    pub sweep: Sweep,
    /// Number of parameter values, evenly spaced over the range
    #[arg(long, default_value = "5")]
    pub steps: NonZeroUsize,
    /// Baseline file, or row file of the baseline [default: every second image of SRC]
    #[arg(long)]
    pub baseline: Option<PathBuf>,
    /// Rows per window; several sizes separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10,20,50,100,200,500,1000",
        value_name = "ROWS"
    )]
    pub window_rows: Vec<NonZeroUsize>,
    /// Windows per size
    #[arg(long, default_value = "200")]
    pub windows: NonZeroUsize,
    #[command(flatten)]
    pub embedding: EmbeddingArguments,
    #[command(flatten)]
    pub test: TestArguments,
}

/// The model and the backend that runs it.
#[derive(Args)]
pub struct EmbeddingArguments {
    /// Model: a model.toml, a weights file, `sample` or `cifar10`
    #[arg(long, default_value = "sample")]
    pub model: String,
    /// Backend that runs the model (see `driftline backends`)
    #[arg(long, default_value = "candle")]
    pub backend: String,
    /// Images per backend call
    #[arg(long, default_value = "256")]
    pub batch_size: NonZeroUsize,
    /// Number of threads [default: one per core]
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// Device: `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value_t)]
    pub device: Device,
    /// Engine to load: a library file (onnx) or a folder (tch) [default: searched for]
    #[arg(long, value_name = "PATH")]
    pub runtime: Option<PathBuf>,
    /// Precision: `fp32`, or `bf16` with candle on processors that have it, or with tch on CUDA [default: fp32]
    #[arg(long)]
    pub precision: Option<Precision>,
}

/// The drift test.
#[derive(Args)]
pub struct TestArguments {
    /// Drift statistics, separated by commas [default: those marked in `driftline statistics`]
    #[arg(long, value_delimiter = ',')]
    pub statistic: Vec<String>,
    /// Significance level: the share of windows without drift that may be called drifted
    #[arg(long, default_value_t = 0.05, value_name = "SHARE")]
    pub alpha: f64,
    /// Block length: consecutive rows that depend on each other, such as video frames; 1 for independent rows
    #[arg(long, default_value = "1", value_name = "ROWS")]
    pub block: NonZeroUsize,
    /// Random seed of clusters, subsamples and permutations
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

#[derive(Args)]
pub struct BaselineArgs {
    /// Row file of the baseline
    #[arg(value_name = "ROWS")]
    pub rows: PathBuf,
    /// Baseline file to write
    #[arg(long, short)]
    pub output: PathBuf,
    /// Number of clusters
    #[arg(long, default_value_t = CLUSTERS)]
    pub clusters: NonZeroUsize,
    /// Reference rows to keep; of more rows a subsample
    #[arg(long, default_value = "5000", value_name = "ROWS")]
    pub kept: NonZeroUsize,
    /// Block length: consecutive rows that depend on each other, such as video frames; 1 for independent rows, `auto` for
    /// the lag at which the autocorrelation of the rows falls below 0.1
    #[arg(long, default_value = "1", value_name = "ROWS|auto")]
    pub block: Block,
    /// Clean windows of consecutive rows on which to measure false-alarm rates, kept in the file; 0 for none
    #[arg(long, default_value = "200", value_name = "WINDOWS")]
    pub calibrate: usize,
    /// Random seed of clusters and subsamples
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

#[derive(Args)]
pub struct CalibrateArgs {
    /// Row file without drift
    #[arg(value_name = "ROWS")]
    pub rows: PathBuf,
    /// Windows per size
    #[arg(long, default_value = "2000")]
    pub windows: NonZeroUsize,
    /// Rows per window; several sizes separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "50,200,1000",
        value_name = "ROWS"
    )]
    pub window_rows: Vec<NonZeroUsize>,
    /// Rows per baseline
    #[arg(long, default_value = "5000", value_name = "ROWS")]
    pub baseline_rows: NonZeroUsize,
    /// Draw windows of consecutive rows, to measure the effect of their order; always on with --block above 1
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
    /// Exit with code 3 if there is drift
    #[arg(long)]
    pub fail_on_drift: bool,
    /// Exit with code 3 if a statistic is above its limit, as in `jsd=0.1`; separated by commas
    #[arg(long, value_delimiter = ',', value_name = "STATISTIC=LIMIT")]
    pub fail_above: Vec<String>,
    #[command(flatten)]
    pub changes: ChangesArgs,
    /// Number of clusters; ignored with a baseline file, which has its own
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
    /// HTML file to write
    #[arg(long, short)]
    pub output: PathBuf,
    /// Include only this model; may be repeated [default: every model in the store]
    #[arg(long = "only", value_name = "PROJECT/MODEL")]
    pub only: Vec<String>,
    /// Folder or file of images that the page may show; may be repeated
    #[arg(long, value_name = "PATH")]
    pub images: Vec<PathBuf>,
}

#[derive(Args)]
pub struct ServeArgs {
    /// Folder of the store; created if it does not exist
    #[arg(long, default_value = "driftline-store")]
    pub store: PathBuf,
    /// Address to listen on; port 0 picks a free port
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// TLS certificate chain of the server, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the TLS certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Folder or file of images that the page may show; may be repeated
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
    /// Download the official CIFAR-10 weights to the cache and print their path
    Fetch,
    /// Show the contents of a model
    Inspect {
        /// Model: a model.toml, a weights file, `sample` or `cifar10`
        model: String,
    },
    /// Write a model as an ONNX graph, with a model.toml beside it
    ExportOnnx {
        /// Model: a model.toml, a weights file, `sample` or `cifar10`
        model: String,
        /// ONNX file to write
        #[arg(long, short)]
        output: PathBuf,
    },
}

#[derive(Args)]
pub struct ConformanceArgs {
    /// Test only this backend [default: every backend that can run here]
    #[arg(long)]
    pub backend: Option<String>,
    /// Test this plugin, as `driftline plugin test` does
    #[arg(long, value_name = "FILE", conflicts_with_all = ["backend", "device", "runtime"])]
    pub plugin: Option<String>,
    /// Device: `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value_t)]
    pub device: Device,
    /// Engine to load: a library file (onnx) or a folder (tch) [default: searched for]
    #[arg(long, value_name = "PATH", requires = "backend")]
    pub runtime: Option<PathBuf>,
    /// Precision: `fp32`, or `bf16` with candle on processors that have it, or with tch on CUDA [default: fp32]
    #[arg(long, requires = "backend")]
    pub precision: Option<Precision>,
    /// Also write the result as JUnit XML
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
    /// List the installed plugins and their components, without running them
    List,
    /// Show the folders that are searched for plugins
    Path,
    /// Load a plugin in a separate process and show its components; this runs its code
    Inspect {
        /// Name of an installed plugin, or a library file
        plugin: String,
        /// Load it in this process
        #[arg(long, hide = true)]
        in_this_process: bool,
        /// Engine whose library is loaded first
        #[arg(long, hide = true)]
        with_runtime: Option<String>,
    },
    /// Trust the current library of a plugin; any other library is then refused
    Trust {
        /// Name of an installed plugin
        plugin: String,
    },
    /// Create a plugin project: a drift transform that builds and passes the tests
    New(NewArgs),
    /// Run the conformance cases of all components of a plugin, in a separate process
    Test(TestArgs),
}

#[derive(Args)]
pub struct NewArgs {
    /// Name of the plugin: lower-case letters, digits and `-`
    pub name: String,
    /// Programming language
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub lang: Language,
    /// Folder to create [default: the name, in the working directory]
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
    /// A manifest, a library, or the name of an installed plugin
    pub plugin: String,
    /// Test only this component [default: all]
    #[arg(long, value_name = "NAME")]
    pub component: Option<String>,
    /// Parameters of a transform, or options of a sink, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub config: String,
    /// Time limit per case, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub deadline: u64,
    /// Also write the result as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Run the cases in this process
    #[arg(long, hide = true)]
    pub in_this_process: bool,
}

/// The sink and the store of an earlier run.
#[derive(Args)]
pub struct StoredArgs {
    /// Settings file; its sections `[sink]`, `[monitor]` and `[plugins]` are used
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sink that the run published to [default: local for labels, fiddler for sink]
    #[arg(long)]
    pub sink: Option<String>,
    /// Folder of the store of the run [default: driftline-store]
    #[arg(long)]
    pub store: Option<PathBuf>,
    /// Any setting, as in `--set sink.options.url=http://127.0.0.1:8080`; may be repeated
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
        /// Label file
        file: PathBuf,
        /// Project of the events [default: the only one in the store]
        #[arg(long)]
        project: Option<String>,
        /// Name under which the model was published [default: the only one in the store]
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
    /// Deliver everything that waits in a store, and wait until the sink has accepted it
    Flush(StoredArgs),
    /// List the batches that wait for Fiddler, are damaged, or were rejected
    List(StoredArgs),
    /// Make a batch due now; also damaged batches and dead letters that can be read
    Retry {
        /// Id of the batch, as shown by `driftline sink list`
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// Retry every listed batch
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        stored: StoredArgs,
    },
    /// Give up a batch: move it to the dead letters and show what is lost
    Skip {
        /// Id of the batch, as shown by `driftline sink list`
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
    /// Read every file and change nothing; exit code 1 if something is damaged
    Check,
    /// Move damaged files aside so that the rest can be used; exit code 1 if damage remains
    Repair,
    /// Merge small files into fewer large ones
    Compact,
}

#[derive(Args)]
pub struct RuntimeArgs {
    #[command(subcommand)]
    pub command: RuntimeCommand,
}

#[derive(Subcommand)]
pub enum RuntimeCommand {
    /// Install a library to the cache, verify its checksum and print its path
    Install {
        /// Engine to install
        engine: Engine,
    },
    /// List the libraries that were found
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
