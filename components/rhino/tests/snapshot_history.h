#pragma once
// A short history of a store, and how a test sees one: in a snapshot's rows, and in a store's answers.

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "etcd/kv.pb.h"
#include "rhino/snapshot_read.h"
#include "rhino/snapshot_rows.h"
#include "snapshot_folder.h"

namespace rusternetes::rhino::testing {

// a: put at 2 and 3, removed at 5, put at 7; b: put at 4; c: put at 6.
inline void fill(TestStore& store) {
  store.put("a", "1");
  store.put("a", "2");
  store.put("b", "x");
  store.remove("a");
  store.put("c", "1");
  store.put("a", "3");
}

// "3a=2" for a put at revision 3, "5a" for a removal: the rows of a snapshot.
inline std::string rows_of(const std::string& path) {
  auto reader = open_snapshot(path, Sum::checked_if_there);
  REQUIRE(reader);
  std::string rows;
  REQUIRE((*reader)->walk("key", [&](std::string_view key, std::string_view value) -> Result<void> {
    RN_TRY(const auto at, parse_row_key(key));
    mvccpb::KeyValue kv;
    REQUIRE(kv.ParseFromArray(value.data(), static_cast<int>(value.size())));
    rows += fmt::format("{}{}{} ", at.revision, kv.key(), at.is_removal ? "" : "=" + kv.value());
    return {};
  }));
  return rows;
}

// What a reader of the store sees at a revision: "a=2@3(2,2)" is value, mod revision, create revision and
// version.
inline std::string range_at(storage::Store& store, storage::Revision revision) {
  storage::RangeRequest request;
  request.key = std::string(1, '\0');
  request.range_end = std::string(1, '\0');
  request.revision = revision;
  auto response = store.range(request);
  if (!response) return response.error().reason;
  std::string out;
  for (const auto& kv : response->kvs)
    out += fmt::format("{}={}@{}({},{}){} ", kv.key, *kv.value, kv.mod_revision, kv.create_revision,
                       kv.version, kv.lease ? fmt::format("L{}", kv.lease) : "");
  return out;
}

}  // namespace rusternetes::rhino::testing
