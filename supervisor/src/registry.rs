//! All tenants, by id. Whoever is not in it does not exist.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use enforcer_protocol::TenantId;

use crate::tenant::Tenant;

/// The tenants of one moment.
pub(crate) type Tenants = BTreeMap<TenantId, Arc<Tenant>>;

/// The tenants of this moment. Every request reads it, without a lock; only the keeper changes it.
#[derive(Debug, Default)]
pub(crate) struct Registry(ArcSwap<Tenants>);

impl Registry {
    /// The tenant with this id.
    pub(crate) fn get(&self, tenant_id: &TenantId) -> Option<Arc<Tenant>> {
        self.0.load().get(tenant_id).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<Tenants> {
        self.0.load_full()
    }

    /// Puts others in their place.
    pub(crate) fn replace(&self, tenants: Tenants) {
        self.0.store(Arc::new(tenants));
    }
}
