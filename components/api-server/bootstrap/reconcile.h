#pragma once
// What becomes of a bootstrap object that the cluster already has. RBAC objects get the rules and subjects
// they lack and lose none, unless they opt out by `rbac.authorization.kubernetes.io/autoupdate: "false"`;
// flow control objects get their spec back unless `apf.kubernetes.io/autoupdate-spec` says otherwise; all
// others stay as they are. Pure.

#include "apimachinery/schema.h"
#include "apimachinery/value.h"

namespace rusternetes::api_server::bootstrap {

enum class Change {
  none,
  update,    // write `object` over the existing one
  recreate,  // a binding's roleRef cannot be changed: delete the existing one (by its uid) and create
             // `object`
};

struct Reconciled {
  Change change = Change::none;
  apimachinery::Value object;  // in the arena, sharing memory with both arguments; they outlive it
};

// Both are of `kind`, which is of the version that the bootstrap data has.
Reconciled reconcile(apimachinery::Arena& arena, const apimachinery::Kind& kind,
                     const apimachinery::Value& existing, const apimachinery::Value& expected);

}  // namespace rusternetes::api_server::bootstrap
