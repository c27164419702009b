//! From `main` to the exit code.

use std::{io::Write as _, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    Health, Lifecycle, TelemetryArgs, TlsArgs, admin, lifecycle::Signals, serve, telemetry, trace,
};

/// What tasks get between the hard token and the end of the process.
const HARD_GRACE: Duration = Duration::from_secs(2);

/// What `start` receives: the handles of the running process. Clones share them.
#[derive(Clone)]
pub struct Service {
    /// The end of the process, and the tasks that it waits for.
    pub lifecycle: Lifecycle,
    /// What `/readyz` says.
    pub health: Health,
    /// What greets those who connect to its ports, if they speak TLS.
    pub tls: Option<TlsAcceptor>,
}

impl Service {
    /// Returns a service without process around it, for tests.
    #[must_use]
    pub fn detached() -> Self {
        let lifecycle = Lifecycle::new();
        let health = Health::new(&lifecycle);
        Self {
            lifecycle,
            health,
            tls: None,
        }
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}; free the port, or set {setting} to another address")]
pub struct BindError {
    address: SocketAddr,
    setting: String,
    source: std::io::Error,
}

/// Listens on `address`, which the operator chose by `setting` (the variable's name).
///
/// # Errors
///
/// Returns a [`BindError`] that names both; `start` hands it on.
pub async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError {
            address,
            setting: setting.to_owned(),
            source,
        })
}

/// Runs a service until it is told to end, and returns the exit code of the process.
///
/// `start` wires everything, spawns what runs for long with [`Lifecycle::spawn`], and returns; then
/// the service is ready. It may also serve until [`Lifecycle::soft`] itself, and calls
/// [`Health::started`] then. A start that is still under way when the process is told to end is
/// dropped.
///
/// The admin port (`/healthz`, `/readyz`, `/metrics`), which speaks `tls` like the others, is open from the first moment to the last. The
/// exit code is 0 after a clean drain, and 1 when the start failed (one line on standard error says
/// why), a task failed, or the drain took too long.
pub fn run<F, Fut>(
    name: &'static str,
    telemetry: &TelemetryArgs,
    admin_listen: SocketAddr,
    tls: &TlsArgs,
    start: F,
) -> ExitCode
where
    F: FnOnce(Service) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let outcome = try_run(name, telemetry, admin_listen, tls, start);
    trace::flush();
    telemetry::flush();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell when standard error is gone.
            drop(writeln!(
                std::io::stderr(),
                "{name} could not start: {error:#}"
            ));
            ExitCode::FAILURE
        }
    }
}

/// Tells whether the service ended cleanly; an error is one of the start.
fn try_run<F, Fut>(
    name: &'static str,
    telemetry: &TelemetryArgs,
    admin_listen: SocketAddr,
    tls: &TlsArgs,
    start: F,
) -> anyhow::Result<bool>
where
    F: FnOnce(Service) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    // Before anything that may speak TLS. A provider that is already there is this one.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let metrics = telemetry::install(telemetry)?;
    trace::install(name, telemetry)?;
    tracing::info!(
        service.name = name,
        service.version = env!("CARGO_PKG_VERSION"),
        service.revision = option_env!("GIT_REVISION"),
        process.pid = std::process::id(),
        "starting"
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the async runtime")?;
    let clean = runtime.block_on(async {
        let service = Service {
            tls: tls.acceptor()?,
            ..Service::detached()
        };
        let signals = Signals::listen().context("listening for signals")?;
        tokio::spawn(service.lifecycle.clone().obey(signals));
        serve_admin(name, admin_listen, service.clone(), metrics).await?;

        if let Some(outcome) = started(&service, start(service.clone())).await {
            outcome?;
            service.health.started();
            service.lifecycle.soft().cancelled().await;
        }
        anyhow::Ok(service.lifecycle.drained(HARD_GRACE).await && !service.lifecycle.has_failed())
    });
    // A blocking call that hangs must not keep the process.
    runtime.shutdown_timeout(HARD_GRACE);
    let clean = clean?;
    tracing::info!(service.name = name, clean, "stopped");
    Ok(clean)
}

/// Runs `start` to its end; `None` when it was dropped because the process is to end.
async fn started<Fut>(service: &Service, start: Fut) -> Option<anyhow::Result<()>>
where
    Fut: Future<Output = anyhow::Result<()>>,
{
    let given_up = async {
        service.lifecycle.soft().cancelled().await;
        if service.health.has_started() {
            service.lifecycle.hard().cancelled().await;
        }
    };
    tokio::select! {
        outcome = start => Some(outcome),
        () = given_up => None,
    }
}

async fn serve_admin(
    name: &str,
    address: SocketAddr,
    Service { health, tls, .. }: Service,
    metrics: PrometheusHandle,
) -> anyhow::Result<()> {
    let listener = bind(address, &admin_setting(name)).await?;
    let address = listener.local_addr()?;
    tracing::info!(admin.address = %address, "admin port is open");
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(telemetry::UPKEEP);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    // It stays open while the process drains, so nothing ends it.
    let forever = Lifecycle::new();
    tokio::spawn(serve(
        listener,
        tls,
        admin::router(health, metrics),
        forever,
    ));
    Ok(())
}

/// Returns the setting of the admin address: `STORE_ADMIN_LISTEN` of `chat-store`.
fn admin_setting(service: &str) -> String {
    let (_, short) = service.rsplit_once('-').unwrap_or(("", service));
    format!("{}_ADMIN_LISTEN", short.to_uppercase())
}
