//! Roles, and the tenants that they are for.

use std::collections::BTreeSet;
use std::str::FromStr;

use enforcer_protocol::TenantId;

/// A role: one kind of right over a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Ask the tenant's policy.
    Decide,
    /// See the tenant's status and its stream, and have its decisions explained.
    Observe,
    /// All that an observer may, and tell the tenant's worker what to do. For all tenants: metrics,
    /// the status and the stream of all.
    Operate,
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 3] = [Self::Decide, Self::Observe, Self::Operate];

    /// The role as operators write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Observe => "observe",
            Self::Operate => "operate",
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(())
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(u8);

impl Roles {
    /// No role.
    pub(crate) const NONE: Self = Self(0);

    /// These roles and one more.
    pub(crate) const fn with(self, role: Role) -> Self {
        Self(self.0 | Self::bit(role))
    }

    /// Whether these roles allow what `role` allows. An operator may observe.
    pub(crate) const fn include(self, role: Role) -> bool {
        let enough = match role {
            Role::Decide => Self::bit(Role::Decide),
            Role::Observe => Self::bit(Role::Observe) | Self::bit(Role::Operate),
            Role::Operate => Self::bit(Role::Operate),
        };
        self.0 & enough != 0
    }

    /// The roles' names.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let is_in = move |role: &Role| self.0 & Self::bit(*role) != 0;
        Role::ALL.into_iter().filter(is_in).map(Role::name)
    }

    const fn bit(role: Role) -> u8 {
        match role {
            Role::Decide => 1,
            Role::Observe => 2,
            Role::Operate => 4,
        }
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The tenants that a credential is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tenants {
    /// All tenants, and everything that is about all of them.
    All,
    /// These, whether or not they exist.
    Named(BTreeSet<TenantId>),
}

/// The tenants that stand for all, as operators write it.
pub(crate) const ALL_TENANTS: &str = "*";

/// The rights of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) roles: Roles,
    pub(crate) tenants: Tenants,
}

/// Whether somebody may do something with a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Granted,
    /// The tenant is one of theirs, and the role is not.
    RoleMissing,
    /// The tenant is not one of theirs. They must not learn whether it exists.
    OtherTenant,
}

impl Grant {
    /// Whether it allows what `role` allows, with this tenant.
    pub(crate) fn right(&self, role: Role, tenant_id: &TenantId) -> Right {
        let is_theirs = match &self.tenants {
            Tenants::All => true,
            Tenants::Named(tenants) => tenants.contains(tenant_id),
        };
        match (is_theirs, self.roles.include(role)) {
            (false, _) => Right::OtherTenant,
            (true, false) => Right::RoleMissing,
            (true, true) => Right::Granted,
        }
    }

    /// Whether it allows what `role` allows, with all tenants.
    pub(crate) fn is_for_all(&self, role: Role) -> bool {
        self.tenants == Tenants::All && self.roles.include(role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(roles: &[Role], tenants: &[&str]) -> Grant {
        let tenants = match tenants {
            [ALL_TENANTS] => Tenants::All,
            ids => Tenants::Named(ids.iter().map(|id| id.parse().unwrap()).collect()),
        };
        Grant { roles: roles.iter().copied().collect(), tenants }
    }

    #[test]
    fn a_role_is_for_the_credential_s_own_tenants() {
        let (own, other) = ("tenant_a".parse().unwrap(), "tenant_b".parse().unwrap());
        let decider = grant(&[Role::Decide], &["tenant_a"]);
        assert_eq!(decider.right(Role::Decide, &own), Right::Granted);
        assert_eq!(decider.right(Role::Observe, &own), Right::RoleMissing);
        assert_eq!(decider.right(Role::Operate, &own), Right::RoleMissing);
        for role in Role::ALL {
            assert_eq!(decider.right(role, &other), Right::OtherTenant, "{role:?}");
            assert!(!decider.is_for_all(role), "{role:?}");
        }
    }

    #[test]
    fn an_operator_may_observe_and_does_not_decide() {
        let id = "t".parse().unwrap();
        let operator = |role| grant(&[Role::Operate], &["t"]).right(role, &id);
        assert_eq!(operator(Role::Observe), Right::Granted);
        assert_eq!(operator(Role::Operate), Right::Granted);
        assert_eq!(operator(Role::Decide), Right::RoleMissing);
    }

    #[test]
    fn what_is_about_all_tenants_needs_a_credential_for_all() {
        assert!(grant(&[Role::Operate], &["*"]).is_for_all(Role::Operate));
        assert!(!grant(&[Role::Operate], &["a", "b"]).is_for_all(Role::Operate));
        assert!(!grant(&[Role::Decide, Role::Observe], &["*"]).is_for_all(Role::Operate));
    }

    #[test]
    fn a_role_has_one_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("admin".parse::<Role>().is_err());
    }
}
