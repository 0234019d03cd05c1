//! The command line.

mod certificates;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::gateway::DtlsEngine;
use crate::keys::Kind;
pub(crate) use certificates::{Authority, Certificate, Named, Reason};

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

#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Register a client-side cloud; prints its id and, this once, its secret.
    Add {
        /// What users see on the consent page.
        name: String,
        /// A complete redirect URI; may be given several times.
        #[arg(long = "redirect-uri", required_unless_present_any = ["programme", "device_flow"])]
        redirect_uris: Vec<String>,
        /// A client that cannot keep a secret.
        #[arg(long)]
        public: bool,
        /// A file with the JWK of a public key, with `alg`, by which it proves who it is (RFC 7523); it gets no secret then. May be
        /// given several times.
        #[arg(long = "key", value_name = "FILE", conflicts_with_all = ["public", "programme"])]
        keys: Vec<PathBuf>,
        /// The programme that it is a client of, by which the rest is known: aws, alexa, google, smartthings, uci.
        #[arg(long, conflicts_with_all = ["redirect_uris", "public"])]
        programme: Option<String>,
        /// What its redirect URIs have of their own: the vendor id for alexa, the project id for google, nothing for
        /// smartthings, the whole URI for aws and uci.
        #[arg(long, requires = "programme", default_value = "")]
        own: String,
        /// It has to push its authorization requests (RFC 9126).
        #[arg(long)]
        require_pushed_requests: bool,
        /// All its access tokens are bound to a key of its own (RFC 9449).
        #[arg(long)]
        dpop_bound: bool,
        /// It may ask for codes for devices without a browser, which a person types in at `/device` (RFC 8628).
        #[arg(long)]
        device_flow: bool,
        /// An API beside this cloud's that it may ask tokens for, one of `linking.resources`; may be given several times.
        #[arg(long = "resource", value_name = "URI")]
        resources: Vec<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Add another key to a client that has keys; the others stay good.
    AddKey {
        /// The client's id.
        client: String,
        /// A file with the JWK of the public key.
        key: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// End all keys of a client but the newest.
    RetireKeys {
        /// The client's id.
        client: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Add another secret to a client that has secrets; the others stay good. Prints it, this once.
    AddSecret {
        /// The client's id.
        client: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// End all secrets of a client but the newest.
    RetireSecrets {
        /// The client's id.
        client: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

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
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// List the consents of a user, a line each.
    List {
        /// The user's name.
        user: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// End a consent: its tokens open nothing any more, and its subscriptions are cancelled.
    End {
        /// The user's name.
        user: String,
        /// The consent, as the list names it; such a name may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        grant: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the keys, a line each, with how many links have a token of it.
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Make a key. It makes the tokens from now on; those of the keys before stay good.
    Add {
        /// What the key is for.
        kind: Kind,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take away a key for good, when no token of it is good any more.
    Retire {
        /// What the key is for.
        kind: Kind,
        /// Its number, as the list says.
        number: u8,
        /// Also when tokens of it are good: they open nothing from now on, and links that have one are lost.
        #[arg(long)]
        force: bool,
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
