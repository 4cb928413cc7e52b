//! The credentials of a running supervisor: they are read again on SIGHUP, and when a file that they
//! name changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::access::jwt::keeper::KeyKeepers;
use crate::access::{Access, Rules};
use crate::blocking::blocking_with_timeout;
use crate::config::{Config, ConfigErrors, ConfiguredCredentials, SecretFile};
use crate::tls::stamp;

/// Between two looks at the files with secrets.
const LOOK: Duration = Duration::from_secs(2);

/// How long reading the files may take: the file system may hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Credentials {
    config: Arc<Config>,
    access: Arc<Access>,
    keys: Arc<KeyKeepers>,
    /// Where files are read.
    files: Handle,
    /// The files that the credentials in force name, as they were when they were read last.
    named: Vec<SecretFile>,
}

impl Credentials {
    /// Puts the credentials of the configuration in force.
    pub(super) fn enforce(
        config: &Config,
        access: Arc<Access>,
        keys: Arc<KeyKeepers>,
        files: Handle,
    ) -> Self {
        let named = config.credentials.files.clone();
        access.replace(kept(rules(&config.credentials), &keys));
        Self { config: Arc::new(config.clone()), access, keys, files, named }
    }

    /// Reads them again when `reload` says so, and when a file that they name changes, until `stop`.
    pub(super) async fn keep(mut self, reload: Arc<Notify>, stop: CancellationToken) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = reload.notified() => self.read_again().await,
                _ = looks.tick(), if !self.named.is_empty() => {
                    let named = self.named.clone();
                    let look = move || again(&named) != named;
                    let looked = blocking_with_timeout(&self.files, PATIENCE, look).await;
                    if looked.is_ok_and(|has_changed| has_changed) {
                        info!("a file that [credentials] names has changed and is read again");
                        self.read_again().await;
                    }
                }
            }
        }
    }

    /// Replaces the credentials by those that the files have now. If they are not valid, those from
    /// before stay: a mistake neither locks everybody out nor lets anybody in.
    async fn read_again(&mut self) {
        let (config, named) = (Arc::clone(&self.config), self.named.clone());
        let read = move || (again(&named), config.read_credentials());
        let Ok((tried, read)) = blocking_with_timeout(&self.files, PATIENCE, read).await else {
            error!("credentials stay as they were, because reading the configuration file hangs");
            return;
        };
        // What cannot be used is not tried again before it changes.
        self.named = tried;
        if let Some(configured) = self.usable(read) {
            self.access.replace(kept(rules(&configured), &self.keys));
            self.named = configured.files;
        }
    }

    fn usable(
        &self,
        read: Result<ConfiguredCredentials, ConfigErrors>,
    ) -> Option<ConfiguredCredentials> {
        let is_restricted = self.config.credentials.credentials.is_some();
        match read {
            Ok(configured) if configured.credentials.is_none() && is_restricted => {
                error!(
                    "the configuration file has no [credentials] any more, and those from before stay; restart the supervisor to serve without"
                );
                None
            }
            Ok(configured) => Some(configured),
            Err(errors) => {
                error!("credentials stay as they were, because {errors}");
                None
            }
        }
    }
}

/// The same files as they are now.
fn again(files: &[SecretFile]) -> Vec<SecretFile> {
    let look = |file: &SecretFile| SecretFile { path: file.path.clone(), stamp: stamp(&file.path) };
    files.iter().map(look).collect()
}

/// The rules that a configuration gives.
pub(super) fn rules(configured: &ConfiguredCredentials) -> Rules {
    match &configured.credentials {
        Some(credentials) => Rules::Restricted(credentials.clone()),
        None => Rules::Open,
    }
}

/// The rules, with the keys of the issuers of tokens as they are kept from now on.
fn kept(rules: Rules, keys: &KeyKeepers) -> Rules {
    match rules {
        Rules::Open => Rules::Open,
        Rules::Restricted(mut credentials) => {
            credentials.issuers = keys.keep(credentials.issuers);
            Rules::Restricted(credentials)
        }
    }
}
