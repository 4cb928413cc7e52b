//! All tenants, by id. A tenant that is not in the registry does not exist.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use enforcer_protocol::TenantId;

use super::admission::Tenant;

/// The tenants of one moment.
pub(crate) type Tenants = BTreeMap<TenantId, Arc<Tenant>>;

/// The tenants now. Every request reads it, without a lock; only the reconciler changes it.
#[derive(Debug, Default)]
pub(crate) struct Registry(ArcSwap<Tenants>);

impl Registry {
    /// The tenant with this id.
    pub(crate) fn get(&self, tenant_id: &TenantId) -> Option<Arc<Tenant>> {
        self.0.load().get(tenant_id).cloned()
    }

    /// All tenants.
    pub(crate) fn all(&self) -> Arc<Tenants> {
        self.0.load_full()
    }

    /// Replaces all tenants.
    pub(crate) fn replace(&self, tenants: Tenants) {
        self.0.store(Arc::new(tenants));
    }
}
