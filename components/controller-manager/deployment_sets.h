#pragma once
// The ReplicaSets of a Deployment: how one is made of its template, what an existing one takes over from the
// Deployment, and what their annotations tell.

#include <optional>
#include <string>

#include "apimachinery/document.h"

namespace rusternetes::controller_manager {

inline constexpr std::string_view revision_annotation = "deployment.kubernetes.io/revision";
inline constexpr std::string_view revision_history_annotation = "deployment.kubernetes.io/revision-history";
inline constexpr std::string_view desired_annotation = "deployment.kubernetes.io/desired-replicas";
inline constexpr std::string_view max_annotation = "deployment.kubernetes.io/max-replicas";

// Of a Deployment or a ReplicaSet; 0 without one.
std::int64_t revision_of(const apimachinery::Document& object);
// An annotation that holds a number of replicas; nothing when it is absent or not valid.
std::optional<std::int64_t> replicas_annotation(const apimachinery::Document& set, std::string_view key);

// A new ReplicaSet of the Deployment's template, without replicas yet.
apimachinery::Document make_set(const apimachinery::Document& deployment, const std::string& hash,
                                std::int64_t revision);
// The set with the Deployment's annotations and minReadySeconds, and with `revision` if its own is lower (a
// roll-back makes an old set the newest again; its former revisions are kept in an annotation). Empty when
// nothing changes.
apimachinery::Document updated_set(const apimachinery::Document& deployment,
                                   const apimachinery::Document& set, std::int64_t revision);

}  // namespace rusternetes::controller_manager
