//! The core tried from outside its modules: stories, a model under random commands, a simulated cluster.

#![allow(clippy::needless_pass_by_value, reason = "commands are made where they are given away")]

mod cluster;
mod cost;
mod format;
mod invariants;
mod model;
mod simulation;
mod stories_accounts;
mod stories_balance;
mod stories_concat;
mod stories_damage;
mod stories_draining;
mod stories_freeing;
mod stories_healing;
mod stories_inventory;
mod stories_life;
mod stories_materials;
mod stories_orders;
mod stories_present;
mod stories_runs;
mod stories_silence;
mod stories_spaces;
mod stories_upgrade;
mod support;
mod virtual_node;
mod world;
