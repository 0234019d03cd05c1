//! The commands for where devices belong.

use std::path::PathBuf;

use clap::Subcommand;

use super::ConfigFile;

#[derive(Debug, Subcommand)]
pub(crate) enum Provisioning {
    /// Make a tenant.
    Tenant {
        /// Its id.
        tenant: String,
        /// What people call it.
        name: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Let another tenant use an access point.
    Grant {
        /// Whose it is.
        tenant: String,
        /// The access point.
        access_point: String,
        /// The other tenant.
        to: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Show what stands at a path of the HTTPS interface, as `devices` or `devices/sn-1`, with what happened to it.
    Show {
        /// The tenant.
        tenant: String,
        /// The path behind the tenant.
        path: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Make something, as `devices`, `registration-groups` or `allocation-strategies/base`. Secrets are shown this once.
    Create {
        /// The tenant.
        tenant: String,
        /// The path behind the tenant.
        path: String,
        /// What it is: JSON, or @ and a file with it.
        body: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Change something, or make an access point of a name, as `access-points/here`.
    Change {
        /// The tenant.
        tenant: String,
        /// The path behind the tenant.
        path: String,
        /// What it is from now on: JSON, or @ and a file with it.
        body: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Remove something; what it assigned stays.
    Remove {
        /// The tenant.
        tenant: String,
        /// The path behind the tenant.
        path: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Have the policies asked again when a device comes next.
    Trigger {
        /// The tenant.
        tenant: String,
        /// The device's id.
        device: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Move a device that knows provisioning to another access point: it goes there when it registers next, and is asked to.
    Migrate {
        /// The tenant.
        tenant: String,
        /// The device's id.
        device: String,
        /// The access point.
        #[arg(long, value_name = "ACCESS-POINT")]
        to: String,
        /// After how many hours it is aborted if the device was not seen at the new place.
        #[arg(long, default_value_t = 168)]
        hours: u32,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Move a device that knows nothing of provisioning: its registration goes to another instance, and then its address.
    Transfer {
        /// The tenant.
        tenant: String,
        /// The device's id.
        device: String,
        /// The instance, as `provisioning.instances` names it.
        #[arg(long, value_name = "INSTANCE")]
        to: String,
        /// After how many hours it is aborted if the device was not seen at the new place.
        #[arg(long, default_value_t = 168)]
        hours: u32,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Devices that are moved.
    #[command(subcommand)]
    Migration(Migration),
    /// Enroll the devices of a CSV file. Those that are there already are passed over, so that it can be repeated.
    Import {
        /// The tenant.
        tenant: String,
        /// Columns by name: device_id, and as needed device_name, auth_type, secret, fingerprint, identity, certificate_id,
        /// access_point_id, allocation_strategy_type, init_config, owner.
        #[arg(value_name = "FILE")]
        csv: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Migration {
    #[command(flatten)]
    Request(MigrationRequest),
    #[command(flatten)]
    File(MigrationFile),
}

/// What the HTTPS interface can be asked, too.
#[derive(Debug, Subcommand)]
pub(crate) enum MigrationRequest {
    /// List the migrations, of each device the last.
    List {
        /// The tenant.
        tenant: String,
        /// Only those that have not ended.
        #[arg(long)]
        open: bool,
        /// Only those behind this marker of another page.
        #[arg(long)]
        marker: Option<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Show the last migration of a device.
    Show {
        /// The tenant.
        tenant: String,
        /// The device's id.
        device: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Abort the migration of a device that was not seen at the new place yet.
    Abort {
        /// The tenant.
        tenant: String,
        /// The device's id.
        device: String,
        /// End an abort that waits for this instance without its word: you affirm that it is gone or has not the device, which stays
        /// here. What it says later is noted and moves nothing.
        #[arg(long, value_name = "INSTANCE")]
        without: Option<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Let a device go that both instances have: the other one has seen it, although the abort was ended without its word.
    LetGo {
        /// The tenant.
        tenant: String,
        /// The device's id.
        device: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

/// What goes between two instances in files.
#[derive(Debug, Subcommand)]
pub(crate) enum MigrationFile {
    /// Write a file for an instance that this one does not reach: a device's registration, or, while that is aborted, its withdrawal.
    Export {
        /// The tenant.
        tenant: String,
        /// The device's id.
        device: String,
        /// The instance, as `provisioning.instances` names it.
        #[arg(long, value_name = "INSTANCE")]
        to: String,
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// After how many hours a transfer that begins now is aborted if the device was not seen at the new place.
        #[arg(long, default_value_t = 168)]
        hours: u32,
        /// Replace a file that is there.
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take what another instance exported, and write the receipt. Again after the device was seen here: that receipt says so.
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// The file of the receipt; by default the same with `.receipt` behind it.
        #[arg(long, value_name = "RECEIPT")]
        out: Option<PathBuf>,
        /// Replace a receipt that is there.
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take the receipt of the instance for which this one exported.
    Receipt {
        /// The file.
        #[arg(value_name = "RECEIPT")]
        path: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
}
