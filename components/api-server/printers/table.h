#pragma once
// What `kubectl get` shows: the cells of each kind's Table, computed from its object (columns are the
// schema's).

#include <string>

#include "apimachinery/schema.h"
#include "apimachinery/value.h"

namespace rusternetes::api_server {

// Appends the JSON array of a row's cells, one for each of the kind's columns; `object` is of the kind's
// type, with metadata. Ages are told at `now_us`. A kind without columns has Name and Created At.
void append_cells(std::string& out, const apimachinery::Kind& kind, const apimachinery::Value& object,
                  std::int64_t now_us);
// The JSON array of a row's conditions; empty when it has none.
std::string_view row_conditions(const apimachinery::Kind& kind, const apimachinery::Value& object);
// The JSON array of columnDefinitions.
std::string column_definitions(const apimachinery::Kind& kind);

}  // namespace rusternetes::api_server
