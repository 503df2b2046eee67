#pragma once
// The parts of Tables and PartialObjectMetadata, as JSON.

#include <string>
#include <string_view>

#include "api-server/call.h"
#include "api-server/negotiation.h"
#include "apimachinery/value.h"

namespace rusternetes::api_server {

// An object's metadata alone, as PartialObjectMetadata.
apimachinery::Value partial_of(apimachinery::Arena& arena, const apimachinery::Value& object,
                               const apimachinery::Type& type);
// `api_version` is empty where the object has no TypeMeta.
void append_partial_json(std::string& out, const apimachinery::Value& object, const apimachinery::Type& type,
                         std::string_view api_version);

// A table up to its rows.
std::string table_head(const Accepted& accepted, const apimachinery::Kind& kind, std::string_view metadata,
                       bool with_columns);
// What tables and partial objects of `kind` are made from: of Kubernetes' own kinds the storage version, whichever
// version was asked for, as kube-apiserver makes them from its internal types; of others the version asked for.
const apimachinery::Kind& transformed_kind(const Call& call, const apimachinery::Kind& kind);
// One row: cells, conditions, and of the object what ?includeObject=None|Metadata|Object says; `object` is of
// the kind's type, which may be another version of the call's kind.
void append_row(std::string& out, const Call& call, const Accepted& accepted, const apimachinery::Kind& kind,
                const apimachinery::Value& object);

// The metadata of a table of one object: its resourceVersion.
std::string object_metadata_json(const apimachinery::Value& object, const apimachinery::Type& type);

}  // namespace rusternetes::api_server
