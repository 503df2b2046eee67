#pragma once
// Stores with something in them, and objects as a store has them.

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"
#include "apimachinery/registry.h"
#include "storage/blocking.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::testing {

inline std::unique_ptr<storage::sqlite::SqliteStore> open_store(const std::filesystem::path& path) {
  storage::sqlite::StoreOptions options;
  options.path = path.string();
  auto store = storage::sqlite::SqliteStore::open(std::move(options));
  REQUIRE(store);
  return std::move(store).value();
}

inline void put(storage::sqlite::SqliteStore& store, const std::string& key, const std::string& value) {
  storage::TxnRequest request;
  storage::PutRequest one;
  one.key = key;
  one.value = std::make_shared<const std::string>(value);
  request.success.emplace_back(one);
  REQUIRE(storage::blocking_call<storage::TxnResponse>(
      [&](auto done) { store.txn(std::move(request), std::move(done)); }));
}

// An object's JSON as protobuf, as the store has it.
inline std::string packed_object(const std::string& text) {
  namespace api = apimachinery;
  const boost::json::value parsed = boost::json::parse(text);
  const std::string version(parsed.at("apiVersion").as_string()), kind(parsed.at("kind").as_string());
  const auto* found = api::Registry::builtin()->find_kind(version, kind);
  REQUIRE(found != nullptr);
  api::Arena arena;
  const auto value = api::decode_json(arena, text, *found->type);
  REQUIRE(value);
  std::string body;
  api::encode_protobuf(body, &*value, *found->type);
  return api::protobuf_envelope_head(version, kind, body.size()) + body +
         std::string(api::protobuf_envelope_tail());
}

}  // namespace rusternetes::testing
