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
// One row: cells, conditions, and of the object what ?includeObject=None|Metadata|Object says; `object` is of
// the kind's type.
void append_row(std::string& out, const Call& call, const Accepted& accepted, const apimachinery::Kind& kind,
                const apimachinery::Value& object);
// The same for an object of the call's kind whose type may be another version's.
void append_row(std::string& out, const Call& call, const Accepted& accepted,
                const apimachinery::Value& object, const apimachinery::Type& type);

// The metadata of a table of one object: its resourceVersion.
std::string object_metadata_json(const apimachinery::Value& object, const apimachinery::Type& type);

}  // namespace rusternetes::api_server
