# A package without rules.
package tenants.t.empty
