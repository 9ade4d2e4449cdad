//! `spaces`: where files lie that belong together, for whom, and how much of them there may be.

use super::{Context, WrongUsage, every};
use crate::{
    config::{Size, parse_duration},
    terminal::{name_of, note, size, time},
};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Cell;
use microtome_proto::{
    Code,
    space::{Member, PatchSpace, Space, SpaceRole, Visibility},
};
use std::time::Duration;

/// Spaces: who may read and write where, and how much.
#[derive(Debug, Subcommand)]
pub(crate) enum Spaces {
    /// List the spaces that you have to do with
    List,
    /// Show a space
    Show(Named),
    /// Describe a space, or change what is said of it; what is not named stays
    Set(Set),
    /// Take a space away; refused while anything lies in it
    Rm(Named),
}

/// A space.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its name
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Seen {
    /// By its members
    Private,
    /// By everybody with a token that reads
    Public,
    /// By everybody
    Anonymous,
}

/// See [`Spaces::Set`].
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Its name
    name: String,
    /// Who may read what lies in it
    #[arg(long, value_enum)]
    visibility: Option<Seen>,
    /// A member and what they may do: user:u-7=writer, team:t-2=reader, dropper or manager
    #[arg(long = "member", value_name = "MEMBER=ROLE", value_parser = parse_member)]
    members: Vec<(Member, SpaceRole)>,
    /// Somebody who is a member no longer
    #[arg(long = "no-member", value_name = "MEMBER")]
    no_members: Vec<Member>,
    /// Most bytes that lie in it: 500GiB, or none
    #[arg(long, value_name = "SIZE", value_parser = or_none::<Size>)]
    quota: Option<Limit<Size>>,
    /// Most of one owner's bytes
    #[arg(long, value_name = "SIZE", value_parser = or_none::<Size>)]
    quota_per_owner: Option<Limit<Size>>,
    /// After which time its materials are deleted: 30m, 12h, 7d, or none
    #[arg(long, value_name = "TIME", value_parser = span_or_none)]
    expires_in: Option<Limit<Duration>>,
    /// After which time without a reader they are
    #[arg(long, value_name = "TIME", value_parser = span_or_none)]
    idle_expires_in: Option<Limit<Duration>>,
}

/// What was named, or that there is none.
#[derive(Debug, Clone, Copy)]
struct Limit<T>(Option<T>);

fn or_none<T: std::str::FromStr>(text: &str) -> Result<Limit<T>, T::Err> {
    if text == "none" { Ok(Limit(None)) } else { text.parse().map(|value| Limit(Some(value))) }
}

fn span_or_none(text: &str) -> Result<Limit<Duration>, String> {
    if text == "none" { Ok(Limit(None)) } else { parse_duration(text).map(|value| Limit(Some(value))) }
}

fn parse_member(text: &str) -> Result<(Member, SpaceRole), String> {
    let (member, role) = text.split_once('=').ok_or("write MEMBER=ROLE: user:u-7=writer")?;
    let role = serde_json::from_value(role.into()).map_err(|_| "a role is dropper, reader, writer or manager")?;
    Ok((member.parse().map_err(|error: microtome_proto::space::InvalidMember| error.to_string())?, role))
}

/// Runs the command.
pub(crate) async fn run(context: &Context, command: Spaces) -> anyhow::Result<()> {
    match command {
        Spaces::List => list(context).await,
        Spaces::Show(Named { name }) => shown(context, &context.cluster.space(&name).await?),
        Spaces::Set(set) => {
            let patch = set.patch()?;
            let changed = match context.cluster.patch_space(&set.name, &patch).await {
                Err(error) if error.code() == Some(Code::NotFound) => {
                    context.cluster.describe_space(&set.name, &patch).await
                }
                other => other,
            };
            shown(context, &changed?)
        }
        Spaces::Rm(Named { name }) => {
            context.cluster.forget_space(&name).await?;
            context.terminal.line(&format!("took the space '{name}' away"))
        }
    }
}

impl Set {
    fn patch(&self) -> Result<PatchSpace, WrongUsage> {
        let visibility = self.visibility.map(|seen| match seen {
            Seen::Private => Visibility::Private,
            Seen::Public => Visibility::Public,
            Seen::Anonymous => Visibility::Anonymous,
        });
        let members = self.members.iter().map(|(member, role)| (member.clone(), Some(*role)));
        let members = members.chain(self.no_members.iter().map(|member| (member.clone(), None)));
        let bytes = |limit: Option<Limit<Size>>| limit.map(|limit| limit.0.map(|size| size.0));
        let seconds = |limit: Option<Limit<Duration>>| limit.map(|limit| limit.0.map(|span| span.as_secs()));
        let patch = PatchSpace {
            visibility,
            members: members.collect(),
            quota_bytes: bytes(self.quota),
            quota_bytes_per_owner: bytes(self.quota_per_owner),
            expires_in_s: seconds(self.expires_in),
            idle_expires_in_s: seconds(self.idle_expires_in),
        };
        if patch.members.len() < self.members.len() + self.no_members.len() {
            return Err(WrongUsage("a member is named twice"));
        }
        Ok(patch)
    }
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let spaces = every(async |query| context.cluster.spaces(&query).await).await?;
    if context.terminal.json {
        return context.terminal.document(&spaces);
    }
    if spaces.is_empty() {
        note("no spaces yet: 'microtome spaces set NAME' describes one");
        return Ok(());
    }
    let row = |space: &Space| {
        vec![
            Cell::new(&space.name),
            Cell::new(name_of(&space.description.visibility)),
            Cell::new(space.materials),
            Cell::new(size(space.bytes)),
            Cell::new(space.description.quota_bytes.map_or_else(|| "none".to_owned(), size)),
        ]
    };
    let rows = spaces.iter().map(row).collect();
    context.terminal.table(&["SPACE", "VISIBILITY", "MATERIALS", "SIZE", "QUOTA"], rows, &[2, 3, 4])
}

fn shown(context: &Context, space: &Space) -> anyhow::Result<()> {
    if context.terminal.json {
        return context.terminal.document(space);
    }
    let described = &space.description;
    let bytes = |quota: Option<u64>| quota.map_or_else(|| "none".to_owned(), size);
    let mut pairs = vec![
        ("space", space.name.clone()),
        ("visibility", name_of(&described.visibility)),
        ("materials", format!("{}, {}", space.materials, size(space.bytes))),
        ("quota", bytes(described.quota_bytes)),
        ("quota per owner", bytes(described.quota_bytes_per_owner)),
    ];
    pairs.extend(described.expires_in_s.map(|seconds| ("expires in", format!("{seconds} s"))));
    pairs.extend(described.idle_expires_in_s.map(|seconds| ("unused, in", format!("{seconds} s"))));
    pairs.extend(space.created_at.map(|at| ("described", time(at))));
    pairs.extend(described.members.iter().map(|(member, role)| ("member", format!("{member}  {}", name_of(role)))));
    context.terminal.pairs(&pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_limits_are_read() {
        assert_eq!(parse_member("user:u-7=writer").unwrap(), ("user:u-7".parse().unwrap(), SpaceRole::Writer));
        assert!(["u-7=writer", "user:u-7", "user:u-7=boss"].iter().all(|text| parse_member(text).is_err()));
        assert_eq!(or_none::<Size>("10 GiB").unwrap().0, Some(Size(10 << 30)));
        assert!(or_none::<Size>("none").unwrap().0.is_none() && or_none::<Size>("much").is_err());
        assert_eq!(span_or_none("7d").unwrap().0, Some(Duration::from_secs(7 * 86_400)));
    }
}
