//! The commands, one file for each group of them, and what all of them take.

mod accounts;
mod ca;
mod cluster;
mod coordinators;
mod copies;
mod demo;
mod export;
mod foresight;
mod materials;
mod password;
mod put;
mod rebalance;
mod runs;
mod scaling;
mod serve;
mod slide;
mod spaces;
mod token;

use crate::terminal::Terminal;
use clap::{Args, Parser, Subcommand};
use microtome_client::{ClientError, Cluster, Credentials, Encryption, check_address};
use microtome_proto::{
    operation::Operation,
    page::{Page, PageQuery},
};
use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// How long a command waits for a cluster in trouble, a new leader for example.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long it waits where nothing listens at all.
const REFUSED_MAX: Duration = Duration::from_secs(2);

/// Keeps whole-slide images on storage nodes and processes them in place.
#[derive(Debug, Parser)]
#[command(name = "microtome", version, propagate_version = true)]
pub(crate) struct Program {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Any coordinator or node; several with commas between them
    #[arg(long, global = true, value_name = "URL", env = "MICROTOME_SERVER", value_delimiter = ',',
          value_parser = check_address, default_value = "http://127.0.0.1:7400")]
    server: Vec<String>,
    /// Token, where the cluster wants one; that of 'microtome login' otherwise ('microtome token' makes others)
    #[arg(long, global = true, value_name = "TOKEN", env = "MICROTOME_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Authorities by which servers are believed that are asked by https:// ('microtome ca' prints the cluster's own); those
    /// of this machine otherwise
    #[arg(long, global = true, value_name = "FILE", env = "MICROTOME_CA")]
    ca: Option<PathBuf>,
    /// Results as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole thing on this machine: a cluster, a slide, its copies, an analysis, the viewer
    Demo(demo::Demo),
    /// Run a coordinator
    Coordinator(serve::Coordinator),
    /// Run a storage node
    Node(serve::Node),
    /// Upload files; goes on where it was interrupted
    Put(put::Put),
    /// List the materials, or the files of a space
    Ls(materials::Ls),
    /// Show a material, its copies and its slide
    Show(materials::Show),
    /// Download a material
    Get(materials::Get),
    /// Make a folder of plain files what a space is
    Export(export::Export),
    /// Delete materials, with all their copies
    Rm(materials::Rm),
    /// List the storage nodes
    Nodes,
    /// Who may read and write where, and how much
    #[command(subcommand)]
    Spaces(spaces::Spaces),
    /// Give a node nothing new; what is there stays
    Cordon(scaling::Act),
    /// Give a node work again; cancels a drain
    Uncordon(scaling::Act),
    /// Move everything away from a node
    Drain(scaling::Act),
    /// Take a node out of the cluster, for good
    Remove(scaling::Remove),
    /// Move copies until the nodes are equally full
    Rebalance(rebalance::Rebalance),
    /// Take coordinators in and out while the cluster works
    #[command(subcommand)]
    Coordinators(coordinators::Coordinators),
    /// Show the cluster: coordinators, leader, healing
    Cluster,
    /// Run a pipeline on materials, where they are
    Run(runs::Run),
    /// List the runs
    Runs,
    /// Read a slide on this machine, without a cluster
    #[command(subcommand)]
    Slide(slide::SlideCommand),
    /// Log in with a name and a password
    Login(accounts::Login),
    /// End the login
    Logout,
    /// Show who you are to the cluster, and what you may
    Whoami,
    /// Change your own password
    Passwd(accounts::Passwd),
    /// Say who may log in
    #[command(subcommand)]
    Users(accounts::Users),
    /// Say who works together
    #[command(subcommand)]
    Teams(accounts::Teams),
    /// Cases: materials of a team that belong together
    #[command(subcommand)]
    Cases(accounts::Cases),
    /// Show who did what
    Audit(accounts::Audit),
    /// Make a token with the cluster's secret or its key, or take one back
    Token(token::Token),
    /// Print the certificate of the cluster's authority, for --ca and for browsers
    Ca(ca::Ca),
}

impl Command {
    /// Whether it talks to a cluster in the name of who is logged in.
    fn asks_as_somebody(&self) -> bool {
        !matches!(
            self,
            Self::Demo(_)
                | Self::Coordinator(_)
                | Self::Node(_)
                | Self::Slide(_)
                | Self::Ca(_)
                | Self::Login(_)
                | Self::Token(token::Token { act: None, .. })
        )
    }
}

/// The arguments do not fit together, which the command sees only when it looks at all of them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(&'static str);

/// What a command that talks to a cluster works with.
pub(crate) struct Context {
    pub(crate) terminal: Terminal,
    pub(crate) cluster: Cluster,
    /// The servers as the user named them: what the cluster is remembered by.
    pub(crate) named_servers: String,
    pub(crate) servers: Vec<String>,
    encryption: Encryption,
}

/// How often it is looked whether the access token is to be refreshed.
const REFRESH_EVERY: Duration = Duration::from_secs(20);

impl Context {
    fn new(global: Global) -> Result<Self, ClientError> {
        let (named_servers, servers) = (global.server.join(","), global.server.clone());
        let encryption = global.ca.as_deref().map_or_else(|| Ok(Encryption::by_machine()), Encryption::by_file)?;
        let token = global.token;
        let cluster = Cluster::encrypted(global.server, Arc::new(move || token.clone()), encryption.clone());
        let cluster = cluster.with_deadline(DEADLINE).with_refused_max(REFUSED_MAX);
        Ok(Self { terminal: Terminal { json: global.json }, cluster, named_servers, servers, encryption })
    }

    /// Goes on with the login at these servers, where there is one: it is refreshed by itself.
    async fn with_login(self) -> anyhow::Result<Self> {
        let Some(credentials) = Credentials::of_user() else { return Ok(self) };
        let Some(login) = credentials.fresh(&self.cluster, &self.servers).await? else { return Ok(self) };
        let token = Arc::new(RwLock::new(login.access_token.0));
        let present = Arc::clone(&token);
        let source = move || Some(present.read().unwrap_or_else(PoisonError::into_inner).clone());
        let cluster = Cluster::encrypted(self.servers.clone(), Arc::new(source), self.encryption.clone());
        let cluster = cluster.with_deadline(DEADLINE).with_refused_max(REFUSED_MAX);
        let (refreshing, servers) = (cluster.clone(), self.servers.clone());
        // What takes long, such as an upload, outlives an access token.
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REFRESH_EVERY).await;
                if let Ok(Some(login)) = credentials.fresh(&refreshing, &servers).await {
                    *token.write().unwrap_or_else(PoisonError::into_inner) = login.access_token.0;
                }
            }
        });
        Ok(Self { cluster, ..self })
    }

    /// A page that people open in their browser.
    pub(crate) fn page(&self, path: &str) -> String {
        let base = self.cluster.servers().into_iter().next().unwrap_or_default();
        format!("{base}{path}")
    }
}

/// Runs the command.
pub(crate) async fn run(program: Program) -> anyhow::Result<()> {
    let has_token = program.global.token.as_ref().is_some_and(|token| !token.is_empty());
    let mut context = Context::new(program.global)?;
    if !has_token && program.command.asks_as_somebody() {
        context = context.with_login().await?;
    }
    let terminal = context.terminal;
    match program.command {
        Command::Demo(demo) => Box::pin(demo::run(terminal, demo)).await,
        Command::Coordinator(options) => Box::pin(serve::coordinator(terminal, options)).await,
        Command::Node(options) => Box::pin(serve::node(terminal, options)).await,
        Command::Put(put) => Box::pin(put::run(&context, put)).await,
        Command::Ls(ls) => materials::list(&context, ls).await,
        Command::Show(show) => materials::show(&context, show).await,
        Command::Get(get) => Box::pin(materials::get(&context, get)).await,
        Command::Export(options) => Box::pin(export::run(&context, options)).await,
        Command::Rm(rm) => materials::remove(&context, rm).await,
        Command::Spaces(command) => spaces::run(&context, command).await,
        Command::Nodes => cluster::nodes(&context).await,
        Command::Cordon(act) => scaling::act(&context, Operation::Cordon, act).await,
        Command::Uncordon(act) => scaling::act(&context, Operation::Uncordon, act).await,
        Command::Drain(act) => scaling::act(&context, Operation::Drain, act).await,
        Command::Remove(remove) => scaling::remove(&context, remove).await,
        Command::Rebalance(options) => rebalance::run(&context, options).await,
        Command::Coordinators(command) => coordinators::run(&context, command).await,
        Command::Cluster => cluster::cluster(&context).await,
        Command::Run(run) => runs::run(&context, run).await,
        Command::Runs => runs::list(&context).await,
        Command::Slide(command) => slide::run(terminal, command),
        Command::Ca(ca) => ca::run(terminal, &ca),
        Command::Login(login) => accounts::log_in(&context, login).await,
        Command::Logout => accounts::log_out(&context).await,
        Command::Whoami => accounts::who(&context).await,
        Command::Passwd(options) => accounts::passwd(&context, options).await,
        Command::Users(command) => accounts::users(&context, command).await,
        Command::Teams(command) => accounts::teams(&context, command).await,
        Command::Cases(command) => accounts::cases(&context, command).await,
        Command::Audit(options) => accounts::audit(&context, options).await,
        Command::Token(token) => token::run(&context, &token).await,
    }
}

/// All entries of a list, page after page.
async fn every<T>(fetch: impl AsyncFn(PageQuery) -> Result<Page<T>, ClientError>) -> Result<Vec<T>, ClientError> {
    let mut all = Vec::new();
    let mut query = PageQuery { limit: Some(microtome_proto::limits::PAGE_ITEMS_MAX), cursor: None };
    loop {
        let page = fetch(query.clone()).await?;
        all.extend(page.items);
        if page.next_cursor.is_none() || page.next_cursor == query.cursor {
            return Ok(all);
        }
        query.cursor = page.next_cursor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Program::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_and_after_the_command() {
        let program = Program::parse_from(["microtome", "ls", "--server", "a:7400,b:7400", "--json"]);
        assert_eq!(program.global.server, ["http://a:7400", "http://b:7400"]);
        assert!(program.global.json);
        assert!(Program::try_parse_from(["microtome", "--server", "no address", "ls"]).is_err());
        let run = Program::try_parse_from(["microtome", "run", "tissue", "m-1", "--param", "level"]);
        assert_eq!(run.unwrap_err().exit_code(), 2);
    }
}
