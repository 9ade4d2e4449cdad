//! `audit`: who did what.

use crate::{commands::Context, terminal::time};
use clap::Args;
use comfy_table::Cell;
use microtome_proto::{limits::PAGE_ITEMS_MAX, page::PageQuery};

/// Shows who did what, the newest first.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// So many entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Shows it.
pub(crate) async fn audit(context: &Context, options: Audit) -> anyhow::Result<()> {
    let mut entries = Vec::new();
    let mut cursor = None;
    while entries.len() < options.limit as usize {
        let left = options.limit - u32::try_from(entries.len()).unwrap_or(options.limit);
        let query = PageQuery { limit: Some(left.min(PAGE_ITEMS_MAX)), cursor };
        let page = context.cluster.audit(&query).await?;
        entries.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if context.terminal.json {
        return context.terminal.document(&entries);
    }
    let rows = entries.iter().map(|entry| {
        vec![
            Cell::new(time(entry.at)),
            Cell::new(&entry.by),
            Cell::new(&entry.address),
            Cell::new(&entry.act),
            Cell::new(&entry.object),
            Cell::new(&entry.detail),
        ]
    });
    context.terminal.table(&["WHEN", "WHO", "FROM", "WHAT", "TO", "MORE"], rows.collect(), &[])
}
