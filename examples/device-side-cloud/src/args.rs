//! The command line.

mod certificates;
mod linking;
mod provisioning;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::gateway::DtlsEngine;

pub(crate) use certificates::{Authority, Certificate, Named, Reason};
pub(crate) use linking::{Client, Grant, Key};
pub(crate) use provisioning::{Migration, MigrationFile, MigrationRequest, Provisioning};

/// A device-side cloud: devices come in over CoAP and DTLS-PSK, other clouds use them over the OCF Universal Cloud Interface.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    /// How the log on standard error is written; RUST_LOG says how much of it.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented configuration file, cloud.toml, into a folder.
    Init {
        /// The folder; made when it is not there.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Run the cloud until SIGTERM or Ctrl-C.
    Serve(Serve),
    /// Walk through one user's story with real devices and clouds as processes of their own.
    Demo {
        /// Leave the cloud up at the end and print commands to try.
        #[arg(long)]
        keep: bool,
        /// The folder for the story's data; a fresh one under the system's temporary folder by default.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// The DTLS engine of the cloud.
        #[arg(long, value_enum, default_value_t)]
        dtls: DtlsEngine,
    },
    /// Products: families of devices that share a product secret.
    #[command(subcommand)]
    Product(Product),
    /// Devices.
    #[command(subcommand)]
    Device(Device),
    /// End users, who own devices and allow others to use them.
    #[command(subcommand)]
    User(User),
    /// Client-side clouds that may ask users to link their accounts.
    #[command(subcommand)]
    Client(Client),
    /// Consents: which client-side cloud a user has let in.
    #[command(subcommand)]
    Grant(Grant),
    /// The provisioning service: tenants, access points, policies, groups, and devices that ask where they belong.
    #[command(subcommand)]
    Provisioning(Provisioning),
    /// Keys of access and refresh tokens.
    #[command(subcommand)]
    Key(Key),
    /// Certificate authorities below which a tenant's devices are.
    #[command(subcommand)]
    Authority(Authority),
    /// Certificates that this cloud issues to a tenant's devices.
    #[command(subcommand)]
    Certificate(Certificate),
    /// Add a backup to a folder, while the cloud runs.
    Backup {
        /// The folder; made when it is not there. Always use the same one: its keys follow those of the cloud.
        dir: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Make the journal of a cloud that does not run from a backup.
    Restore {
        /// The folder that `backup` was given.
        dir: PathBuf,
        /// The backup's file name; the latest when absent.
        #[arg(long)]
        name: Option<PathBuf>,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The DTLS engine, whatever the configuration says.
    #[arg(long, value_enum)]
    pub(crate) dtls: Option<DtlsEngine>,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(long, default_value = "cloud.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Product {
    /// Make a product; prints its key and, this once, its secret.
    Add {
        /// What people call it.
        name: String,
        /// Let devices that know only the product's secret fetch their own, until they have used it.
        #[arg(long)]
        dynamic_activation: bool,
        /// What its devices offer and tell without OCF, in a JSON file.
        #[arg(long, value_name = "FILE")]
        template: Option<PathBuf>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Give a product a template, in the place of the one it has; devices follow at their next message.
    Template {
        /// The product's key.
        product: String,
        /// What its devices offer and tell without OCF, in JSON.
        #[arg(value_name = "FILE")]
        template: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Make a device; prints its key and, this once, its secret.
    Add {
        /// The product's key.
        #[arg(long)]
        product: String,
        /// The name of the user who owns it.
        #[arg(long)]
        owner: String,
        /// The device's key, its IMEI for one; made up when absent.
        device_key: Option<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List the devices of a user, a line each, in the order of their keys.
    List {
        /// The name of the user who owns them.
        #[arg(long)]
        owner: String,
        /// Go on behind this device: the line `next` of the page before.
        #[arg(long, value_name = "PRODUCT_KEY,DEVICE_KEY")]
        after: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Give a device to another user. Both users' clients are told; the device begins anew with nothing of its former owner.
    Transfer {
        /// The device, as the list names it.
        #[arg(value_name = "PRODUCT_KEY,DEVICE_KEY")]
        device: String,
        /// The name of the user who owns it from now on.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take a device from its owner, whose clients are told. It stays in its product and can be given to another user.
    Remove {
        /// The device, as the list names it.
        #[arg(value_name = "PRODUCT_KEY,DEVICE_KEY")]
        device: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Make an end user; the password is read from standard input, so that it shows up in no process list.
    Add {
        /// The name to log in with.
        name: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Print everything that is kept of a user, without secrets, as one JSON object.
    Export {
        /// The user's name.
        name: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Erase a user for good: consents end and clients are told, devices belong to nobody, nothing of the account is kept.
    Erase {
        /// The user's name.
        name: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The commands that do something, as they are typed.
    fn leaves(command: &clap::Command, before: &str) -> Vec<String> {
        let typed = format!("{before}{}", command.get_name());
        if !command.has_subcommands() {
            return vec![typed];
        }
        let before = format!("{typed} ");
        let below = command.get_subcommands();
        below.flat_map(|command| leaves(command, &before)).collect()
    }

    #[test]
    fn the_front_page_names_every_command() {
        let page = include_str!("../README.md");
        let commands = leaves(&Arguments::command(), "");
        assert!(commands.contains(&"device-side-cloud grant end".to_owned()));
        for command in commands {
            assert!(page.contains(&command), "{command} is not in README.md");
        }
    }
}
