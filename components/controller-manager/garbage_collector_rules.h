#pragma once
// What the garbage collector reads out of objects and answers; plain functions without state.

#include <string>
#include <string_view>

#include "apimachinery/registry.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

// Finalizers that the collector itself takes off.
inline constexpr std::string_view orphan_finalizer = "orphan", foreground_finalizer = "foregroundDeletion";

bool has_finalizer(const Document& object, std::string_view name);
Document without_finalizer(const Document& object, std::string_view name);
// Being deleted in the foreground.
bool waits_for_dependents(const Document& object);

// Whether the object has this very reference.
bool has_reference(const Document& object, const apimachinery::meta_v1::OwnerReference& reference);
// Whether owners, finalizers and being deleted are what they were: most changes are of status, or a lease's
// renewal.
bool is_same_in_graph(const Document& before, const Document& now);
// Whether a reference of the object to the owner says blockOwnerDeletion.
bool blocks(const Document& object, std::string_view owner_uid);
// Whether the object is where a reference of `kind` in this namespace points: a uid alone may be anybody's.
bool is_at(const apimachinery::Kind& object_kind, const Document& object, const apimachinery::Kind& kind,
           std::string_view name_space, std::string_view name);
// All that a reference says, as text; the uid comes first.
std::string reference_key(const apimachinery::meta_v1::OwnerReference& owner, std::string_view name_space);

// A 404 that says that this very object is not there. One of the path (a kind that is not served any more, or
// not yet by the server that answered) is an error like others.
bool is_absent(const Status& error, const apimachinery::Kind& kind, std::string_view name);

}  // namespace rusternetes::controller_manager
